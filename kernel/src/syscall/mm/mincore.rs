//! [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use ostd::mm::{PAGE_SIZE, USER_END};

/// Says which pages of a range are in memory.
pub fn sys_mincore(address: usize, len: usize, out: UserPtr<u8>, context: &mut Context<'_>) -> Result<()> {
    /// Pages answered at a time: the range may be all of user space.
    const BATCH: usize = 4096;
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let end = address.checked_add(len).filter(|&end| end <= USER_END).ok_or(Errno::ENOMEM)?;
    let space = super::space(context)?;
    let mut at = address;
    while at < end {
        let part = (end - at).min(BATCH * PAGE_SIZE);
        let bytes = space.residence(at, part)?;
        out.cast_at::<u8>((at - address) / PAGE_SIZE).write_array(&bytes)?;
        at += part;
    }
    Ok(())
}
