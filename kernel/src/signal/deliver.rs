//! Taking signals on the way back to ring 3: default actions, handlers' frames, restarts of interrupted calls.

use super::action::{Disposition, disposition};
use super::frame::{self, Trap};
use super::{DefaultAction, SigAction, SigFields, SigInfo, SigSet, Signal, send, stop};
use crate::cgroup;
use crate::error::Errno;
use crate::process::exit;
use crate::process::exit_status::ExitStatus;
use crate::sched::share;
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SA_NODEFER, SA_RESETHAND, SA_RESTART, SI_TIMER};
use ostd::user::UserContext;

/// What the user loop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Back to ring 3.
    Continue,
    /// The thread leaves.
    Leave,
}

/// Bytes of the SYSCALL instruction.
const SYSCALL_LEN: u64 = 2;
/// restart_syscall(2).
const RESTART_SYSCALL: u64 = 219;

/// Whether [`before_user`] has anything to do: a few loads.
pub fn has_work(thread: &Thread) -> bool {
    thread.has_pending_signal()
        || thread.was_interrupted()
        || thread.signals.has_saved_mask()
        || thread.is_throttled()
}

/// Serves all that is pending.
pub fn before_user(thread: &Arc<Thread>, user: &mut UserContext, trap: Trap) -> Flow {
    let process = thread.process();
    let mut interrupted = thread.take_interrupted();
    loop {
        if thread.must_exit() || process.signals.is_exiting() {
            return Flow::Leave;
        }
        if process.signals.is_stopping() {
            stop::park(thread);
            continue;
        }
        stop::tell_continued(process);
        let Some(info) = take(thread, SigSet(!thread.signals.mask().0)) else {
            if !process.signals.is_freezing() {
                // Nothing else is left to do: now it may take a while.
                if thread.take_throttled() {
                    share::wait_for_quota(thread);
                    continue;
                }
                break;
            }
            // Last, so that nothing that would end the process waits for a thaw.
            cgroup::park(thread);
            continue;
        };
        let actions = process.signals.actions();
        let action = actions.action(info.signal);
        match disposition(info.signal, &action) {
            Disposition::Ignore => {}
            // It was queued because it was blocked (pid_namespaces(7)); SIGKILL and SIGSTOP were refused to senders from inside.
            Disposition::Default(_)
                if process.is_namespace_init()
                    && !SigSet::UNMASKABLE.contains(info.signal)
                    && !process.signals.is_unprotected() => {}
            Disposition::Default(DefaultAction::Stop) => stop::begin(process, info.signal),
            Disposition::Default(_) => {
                exit::begin_group_exit(process, ExitStatus::Killed(info.signal));
                return Flow::Leave;
            }
            Disposition::Handler => {
                if let Some(call) = interrupted.take() {
                    settle_for_handler(user, call, &action);
                }
                if action.sa_flags & SA_RESETHAND != 0 {
                    actions.set_action(info.signal, SigAction { sa_handler: 0, ..action });
                }
                enter_handler(thread, user, &action, info, trap);
            }
        }
    }
    if let Some((number, errno)) = interrupted {
        let is_block = errno == Errno::ERESTART_RESTARTBLOCK as i32;
        restart(user, if is_block { RESTART_SYSCALL } else { number });
    }
    thread.signals.restore_mask();
    Flow::Continue
}

/// Takes one signal of `set` out of the thread's or the process's queue.
pub fn take(thread: &Thread, set: SigSet) -> Option<SigInfo> {
    let process = thread.process();
    let mut info = thread.signals.pending.take(set).or_else(|| process.signals.pending.take(set))?;
    if info.code == SI_TIMER
        && let SigFields::Timer { id, overrun, .. } = &mut info.fields
    {
        *overrun = process.timers.signal_taken(*id);
    }
    Some(info)
}

fn enter_handler(
    thread: &Arc<Thread>,
    user: &mut UserContext,
    action: &SigAction,
    info: SigInfo,
    trap: Trap,
) {
    let mask = thread.signals.mask();
    let restored = thread.signals.take_saved_mask().unwrap_or(mask);
    if frame::push(thread, user, action, info, restored, trap).is_err() {
        // signal(7): a handler that cannot be entered is SIGSEGV; if that is the one, there is no handler any more.
        if info.signal == Signal::SEGV {
            thread.process().signals.actions().set_action(Signal::SEGV, SigAction::default());
        }
        send::force(thread, SigInfo::kernel(Signal::SEGV));
        return;
    }
    let mut blocked = SigSet(mask.0 | action.sa_mask);
    if action.sa_flags & SA_NODEFER == 0 {
        blocked = blocked.with(info.signal);
    }
    thread.signals.set_mask(blocked);
}

/// What an interrupted call does when a handler runs (signal(7), "Interruption of system calls").
fn settle_for_handler(user: &mut UserContext, (number, errno): (u64, i32), action: &SigAction) {
    if errno == Errno::ERESTARTSYS as i32 && action.sa_flags & SA_RESTART != 0 {
        restart(user, number);
    } else {
        user.regs.rax = -(Errno::EINTR as i64) as u64;
    }
}

fn restart(user: &mut UserContext, number: u64) {
    user.regs.rax = number;
    user.regs.rip = user.regs.rip.wrapping_sub(SYSCALL_LEN);
}
