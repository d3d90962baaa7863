//! Finding processes and threads by number in the initial pid namespace. By a caller's own numbers: [`super::pid::Pid`] of its namespace.

use super::Process;
use super::namespace::pid::PidNamespace;
use crate::thread::Thread;
use alloc::sync::Arc;

/// The process with this id.
pub fn find_process(pid: u32) -> Option<Arc<Process>> {
    PidNamespace::initial().find(pid)?.process()
}

/// The thread with this id.
pub fn find_thread(tid: u32) -> Option<Arc<Thread>> {
    PidNamespace::initial().find(tid)?.thread()
}

/// Calls `visit` for every process, in order of their ids, until it says `false`. Processes that come and go meanwhile may be missed.
pub fn for_each(mut visit: impl FnMut(&Arc<Process>) -> bool) {
    let mut from = 1;
    while let Some((number, pid)) = PidNamespace::initial().next_from(from) {
        if let Some(process) = pid.process()
            && !visit(&process)
        {
            return;
        }
        from = number + 1;
    }
}
