//! Scheduling calls.

pub mod affinity;
pub mod attributes;
pub mod barrier;
pub mod io_priority;
pub mod policy;
pub mod priority;
pub mod yielding;

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::sched::{self, Entity};
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::task::Task;

/// The thread `tid` of the caller's namespace; 0: the caller.
fn thread(tid: i32, context: &Context<'_>) -> Result<Arc<Thread>> {
    match tid {
        0 => Ok(context.thread.clone()),
        ..0 => Err(Errno::EINVAL.into()),
        _ => {
            let id = context.process.pid_namespace().find(tid as u32);
            id.and_then(|id| id.thread()).ok_or(Errno::ESRCH.into())
        }
    }
}

/// Serves with the policy's data of a thread; ESRCH once it has ended.
fn with_entity<R>(thread: &Thread, serve: impl FnOnce(&Entity, &Arc<Task>) -> R) -> Result<R> {
    let task = thread.task().ok_or(Errno::ESRCH)?;
    let entity = sched::of(&task).ok_or(Errno::ESRCH)?;
    Ok(serve(entity, &task))
}

/// Whether the caller may change how `thread` is scheduled: it is its own user's, or CAP_SYS_NICE.
fn check_owner(thread: &Thread, context: &Context<'_>) -> Result<()> {
    let caller = context.process.credentials();
    let target = thread.process().credentials();
    let is_own = caller.uid[1] == target.uid[0] || caller.uid[1] == target.uid[1];
    if is_own || caller.has_in(&target.user, Capability::SysNice) { Ok(()) } else { Err(Errno::EPERM.into()) }
}
