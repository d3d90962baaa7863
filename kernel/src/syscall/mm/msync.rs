//! [msync(2)](https://man7.org/linux/man-pages/man2/msync.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use coffer_abi_types::mman::{MS_ASYNC, MS_INVALIDATE, MS_SYNC};

/// Writes shared mappings back.
pub fn sys_msync(address: usize, len: usize, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0 || flags & MS_ASYNC != 0 && flags & MS_SYNC != 0 {
        return Err(Errno::EINVAL.into());
    }
    super::space(context)?.sync(address, len, flags & MS_SYNC != 0, flags & MS_INVALIDATE != 0)
}
