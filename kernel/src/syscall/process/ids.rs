//! [getpid(2)](https://man7.org/linux/man-pages/man2/getpid.2.html), gettid(2), getppid(2), set_tid_address(2)

use crate::context::Context;
use crate::error::Result;
use core::sync::atomic::Ordering;

/// The process's id.
pub fn sys_getpid(context: &mut Context<'_>) -> Result<u32> {
    Ok(context.process.id().own())
}

/// The thread's id.
pub fn sys_gettid(context: &mut Context<'_>) -> Result<u32> {
    Ok(context.thread.tid_in(context.process.pid_namespace()))
}

/// The parent's id; 0 if it is outside of the pid namespace.
pub fn sys_getppid(context: &mut Context<'_>) -> Result<u32> {
    let parent = context.process.parent();
    Ok(parent.map_or(0, |parent| parent.id().number_in(context.process.pid_namespace())))
}

/// Names the word that is cleared at the thread's end; returns the thread's id.
pub fn sys_set_tid_address(address: usize, context: &mut Context<'_>) -> Result<u32> {
    context.thread.clear_child_tid.store(address, Ordering::Relaxed);
    sys_gettid(context)
}
