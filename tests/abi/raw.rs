//! System calls by number, for arguments that no wrapper would let through.

use nix::errno::Errno;

/// Makes a system call.
///
/// # Safety
///
/// The caller answers for what the call does to memory and to the descriptors of this process, as for the call itself.
pub unsafe fn syscall<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> nix::Result<usize> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the caller answers for the call; unused arguments are zero.
    let value = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(value).map(|value| value as usize)
}

/// Makes a system call whose arguments hold no valid address and no descriptor that anything else uses, so it cannot touch
/// memory: unknown numbers, bad descriptors, faulting pointers, plain numbers.
pub fn harmless<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> nix::Result<usize> {
    // SAFETY: by this function's contract, the kernel has nothing to read or write.
    unsafe { syscall(number, arguments) }
}

/// An address in the lower half that is never mapped.
pub const BAD_ADDRESS: usize = 16;

/// An address that belongs to the kernel.
pub const KERNEL_ADDRESS: usize = 0xffff_8000_0000_0000;
