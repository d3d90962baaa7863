//! Calls about processes and threads: decode, one call of a service, encode.

pub mod arch_prctl;
pub mod capabilities;
pub mod clone;
pub mod execve;
pub mod exit;
pub mod groups;
pub mod ids;
pub mod namespaces;
pub mod personality;
pub mod pidfd;
pub mod prctl;
pub mod rlimit;
pub mod robust_list;
pub mod rusage;
pub mod seccomp;
pub mod session;
pub mod set_ids;
pub mod wait;

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::Process;
use alloc::sync::Arc;

/// The process with this number as the caller sees it; 0 is the caller.
fn process_of(pid: i32, context: &Context<'_>) -> Result<Arc<Process>> {
    if pid == 0 {
        return Ok(context.process.clone());
    }
    let number = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let found = context.process.pid_namespace().find(number).and_then(|id| {
        // A thread's id stands for its process in many calls.
        id.process().or_else(|| id.thread().map(|thread| thread.process().clone()))
    });
    found.ok_or(Errno::ESRCH.into())
}
