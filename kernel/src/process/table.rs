//! Finding processes and threads by number in the initial pid namespace. By a caller's own numbers: [`super::pid::Pid`] of its namespace.

use super::Process;
use super::namespace::pid::{PID_MAX, PidNamespace};
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

/// How many threads there may be (/proc/sys/kernel/threads-max): as Linux reckons, their stacks of 16 KiB take an eighth of memory at most.
/// A fork bomb, root's too, ends here, before memory does.
pub fn threads_max() -> usize {
    /// Eight times the pages of a stack.
    const SHARE: usize = 8 * 4;
    const MIN: usize = 20;
    (ostd::mm::stats().total / SHARE).clamp(MIN, PID_MAX as usize)
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
