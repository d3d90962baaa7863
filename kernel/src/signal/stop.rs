//! Job control: all threads of a process park until SIGCONT or SIGKILL (signal(7), "Stop" and "Cont").

use super::send;
use super::state::JobEvent;
use super::{SigFields, SigInfo, Signal};
use crate::cgroup;
use crate::process::Process;
use crate::thread::Thread;
use coffer_abi_types::signal::{CLD_CONTINUED, CLD_STOPPED, SA_NOCLDSTOP};

/// Asks all threads to stop: the default action of `signal`. Terminal stop signals do nothing to an orphaned group (POSIX 2.4.3).
pub fn begin(process: &Process, signal: Signal) {
    if signal != Signal::STOP && process.group().is_orphaned() {
        return;
    }
    if process.signals.begin_stop(signal) {
        process.for_each_thread(|thread| {
            thread.interrupt();
            true
        });
    }
}

/// Parks the current thread as long as its process is stopped; the last one to park tells the parent.
pub fn park(thread: &Thread) {
    let process = thread.process();
    process.signals.control.lock_irq().stopped_threads += 1;
    tell_if_all_stopped(process);
    cgroup::enter_frozen(thread);
    process
        .signals
        .resumed
        .wait_until(|| (!process.signals.is_stopping() || thread.must_exit()).then_some(()));
    // Not on to where a thaw would have to be seen: a group that is frozen stays so without a gap.
    cgroup::park(thread);
    tell_continued(process);
}

/// A thread has left: the others may now be all that are to stop.
pub fn note_thread_left(process: &Process) {
    if process.signals.is_stopping() {
        tell_if_all_stopped(process);
    }
}

/// Sends the SIGCHLD that a SIGCONT owes.
pub fn tell_continued(process: &Process) {
    let owes = core::mem::take(&mut process.signals.control.lock_irq().owes_continued);
    if owes {
        tell_parent(process, CLD_CONTINUED, Signal::CONT);
    }
}

fn tell_if_all_stopped(process: &Process) {
    let threads = process.thread_count();
    let mut control = process.signals.control.lock_irq();
    let Some(signal) = control.stop_signal else { return };
    if control.stopped_threads != threads || control.event == Some(JobEvent::Stopped(signal)) {
        return;
    }
    control.event = Some(JobEvent::Stopped(signal));
    drop(control);
    tell_parent(process, CLD_STOPPED, signal);
}

fn tell_parent(process: &Process, code: i32, status: Signal) {
    let Some(parent) = process.parent() else { return };
    let action = parent.signals.actions().action(Signal::CHLD);
    if action.sa_flags & SA_NOCLDSTOP == 0 {
        let times = process.cpu_times();
        let fields = SigFields::Child {
            pid: process.pid(),
            uid: process.credentials().uid[0],
            status: status.number(),
            utime: (times.user_ns / 10_000_000) as i64,
            stime: (times.system_ns / 10_000_000) as i64,
        };
        let _ = send::to_process(&parent, SigInfo { signal: Signal::CHLD, code, fields });
    }
    parent.child_events.wake_all();
}
