//! [exit(2)](https://man7.org/linux/man-pages/man2/_exit.2.html), [exit_group(2)](https://man7.org/linux/man-pages/man2/exit_group.2.html)

use crate::context::Context;
use crate::error::Result;
use crate::process::exit::begin_group_exit;
use crate::process::exit_status::ExitStatus;
use core::sync::atomic::Ordering;

/// Ends the thread, on its way back to user space.
pub fn sys_exit(code: i32, context: &mut Context<'_>) -> Result<usize> {
    context.thread.exit_code.store(code as u32 & 0xff, Ordering::Relaxed);
    context.thread.order_exit();
    Ok(0)
}

/// Ends the process.
pub fn sys_exit_group(code: i32, context: &mut Context<'_>) -> Result<usize> {
    begin_group_exit(context.process, ExitStatus::Exited(code as u8));
    Ok(0)
}
