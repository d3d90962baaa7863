//! pkey_alloc(2), pkey_free(2), pkey_mprotect(2): <https://man7.org/linux/man-pages/man2/pkey_alloc.2.html>. There are no protection keys:
//! the calls answer as on a CPU that lacks them.

use super::mprotect::sys_mprotect;
use crate::context::Context;
use crate::error::{Errno, Error, Result};

/// Takes a key.
pub fn sys_pkey_alloc(flags: u32, rights: u32, _context: &mut Context<'_>) -> Result<i32> {
    /// PKEY_DISABLE_ACCESS and PKEY_DISABLE_WRITE.
    const KNOWN: u32 = 3;
    if flags != 0 || rights & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    Err(Error::with(Errno::ENOSPC, "there are no protection keys"))
}

/// Gives a key back.
pub fn sys_pkey_free(_key: i32, _context: &mut Context<'_>) -> Result<()> {
    Err(Errno::EINVAL.into())
}

/// As mprotect(2), with a key; -1: none.
pub fn sys_pkey_mprotect(
    address: usize,
    len: usize,
    protection: u32,
    key: i32,
    context: &mut Context<'_>,
) -> Result<()> {
    if key != -1 && len > 0 {
        return Err(Errno::EINVAL.into());
    }
    sys_mprotect(address, len, protection, context)
}
