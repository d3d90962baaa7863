//! [brk(2)](https://man7.org/linux/man-pages/man2/brk.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::mm::Limits;

/// Moves the end of the heap; returns where it is.
pub fn sys_brk(wanted: usize, context: &mut Context<'_>) -> Result<usize> {
    Ok(super::space(context)?.brk(wanted, &Limits::of(context.process)))
}
