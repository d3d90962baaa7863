//! [munmap(2)](https://man7.org/linux/man-pages/man2/munmap.2.html)

use crate::context::Context;
use crate::error::Result;

/// Unmaps a range.
pub fn sys_munmap(address: usize, len: usize, context: &mut Context<'_>) -> Result<()> {
    super::space(context)?.unmap(address, len)
}
