//! brk(2), which musl's allocator leaves alone once it has mapped memory.

use crate::case::{Outcome, cases, check, check_eq};
use crate::raw;

cases!("memory":
    the_break_grows_and_shrinks,
    an_impossible_break_changes_nothing,
);

/// Sets the break and returns the one that holds then.
///
/// # Safety
///
/// The caller must not move the break below what anything uses.
unsafe fn set_break(address: usize) -> nix::Result<usize> {
    // SAFETY: the caller answers for it.
    unsafe { raw::syscall(libc::SYS_brk, [address]) }
}

fn the_break_grows_and_shrinks() -> Outcome {
    // SAFETY: zero only asks.
    let start = unsafe { set_break(0) }?;
    // SAFETY: grows.
    check_eq!(unsafe { set_break(start + 100_000) }?, start + 100_000);
    let last = (start + 99_999) as *mut u8;
    // SAFETY: the byte is below the break and nobody else's.
    check_eq!(unsafe { last.read_volatile() }, 0);
    // SAFETY: as above.
    unsafe { last.write_volatile(1) };
    // SAFETY: back to where it was before.
    check_eq!(unsafe { set_break(start) }?, start);
    // SAFETY: grows.
    check_eq!(unsafe { set_break(start + 100_000) }?, start + 100_000);
    // SAFETY: the byte is below the break again; what was there is gone.
    check_eq!(unsafe { last.read_volatile() }, 0);
    Ok(())
}

fn an_impossible_break_changes_nothing() -> Outcome {
    // SAFETY: zero only asks.
    let start = unsafe { set_break(0) }?;
    for address in [1, start.wrapping_sub(1 << 30), 1 << 46, usize::MAX] {
        // SAFETY: the kernel refuses these.
        check_eq!(unsafe { set_break(address) }?, start);
    }
    check!(start > 0x1000);
    Ok(())
}
