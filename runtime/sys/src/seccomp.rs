//! `seccomp(2)`: a filter of system calls. (`seccompiler` installs its programs itself, but with no_new_privs always set.)

use std::io;

use libc::{c_uint, sock_filter, sock_fprog};

/// One instruction of a filter, `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    /// How many instructions to pass over when a comparison is true, and when it is not.
    pub if_true: u8,
    pub if_false: u8,
    pub constant: u32,
}

/// Puts this thread, and all that it starts, under the filter; there is no way back. Needs CAP_SYS_ADMIN or no_new_privs.
///
/// # Errors
///
/// What `seccomp(2)` returns.
pub fn install(program: &[Instruction]) -> io::Result<()> {
    let mut filter: Vec<sock_filter> = program
        .iter()
        .map(|it| sock_filter { code: it.code, jt: it.if_true, jf: it.if_false, k: it.constant })
        .collect();
    let len = filter.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = sock_fprog { len, filter: filter.as_mut_ptr() };
    let (operation, flags): (c_uint, c_uint) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: the structure points to as many instructions as it says; the kernel copies them before the call is done, and checks them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_none_is_refused() {
        assert!(install(&[]).is_err());
        let nonsense = Instruction { code: 0xffff, if_true: 1, if_false: 1, constant: 0 };
        assert!(install(&[nonsense]).is_err());
    }
}
