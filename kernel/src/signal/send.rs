//! Sending: into a queue, then a thread that would take it is woken. All of it may be called from an interrupt handler.

use super::{SigFields, SigInfo, SigSet, Signal};
use crate::error::{Errno, Result};
use crate::event::IoEvents;
use crate::process::Process;
use crate::process::group::ProcessGroup;
use crate::process::namespace::pid::PidNamespace;
use crate::process::rlimit::Resource;
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SI_KERNEL, SI_USER};

/// Sends to a process: whichever thread does not block it takes it.
///
/// # Errors
/// EAGAIN when a real-time signal finds the queue full.
pub fn to_process(process: &Process, info: SigInfo) -> Result<()> {
    if process.exit_status().is_some() || !prepare(process, None, info) {
        return Ok(());
    }
    let queued = process.signals.pending.push(translate(info, process), queue_limit(process));
    if queued.is_err() && info.code != SI_USER && info.code != SI_KERNEL {
        return Err(Errno::EAGAIN.into());
    }
    process.signals.pollee.notify(IoEvents::IN);
    wake_taker(process, info.signal);
    Ok(())
}

/// Sends to one thread.
///
/// # Errors
/// As [`to_process`].
pub fn to_thread(thread: &Thread, info: SigInfo) -> Result<()> {
    let process = thread.process();
    if !prepare(process, Some(thread), info) {
        return Ok(());
    }
    let queued = thread.signals.pending.push(translate(info, process), queue_limit(process));
    if queued.is_err() && info.code != SI_USER && info.code != SI_KERNEL {
        return Err(Errno::EAGAIN.into());
    }
    process.signals.pollee.notify(IoEvents::IN);
    if info.signal == Signal::KILL {
        wake_taker(process, info.signal);
    } else if !thread.signals.mask().contains(info.signal) {
        thread.interrupt();
    } else {
        thread.signals.wake();
    }
    Ok(())
}

/// Sends to all members of a process group.
///
/// # Errors
/// ESRCH if it is empty; else the last error.
pub fn to_group(group: &ProcessGroup, info: SigInfo) -> Result<()> {
    let mut result = Err(Errno::ESRCH.into());
    for member in group.members() {
        if member.exit_status().is_none() {
            result = to_process(&member, info);
        }
    }
    result
}

/// Raises a signal in the current thread that it cannot escape: an exception. If it is blocked or ignored, it becomes the default (as Linux does).
pub fn force(thread: &Arc<Thread>, info: SigInfo) {
    let process = thread.process();
    let actions = process.signals.actions();
    let is_blocked = thread.signals.mask().contains(info.signal);
    if is_blocked || actions.ignored().contains(info.signal) {
        actions.set_action(info.signal, super::SigAction::default());
        thread.signals.set_mask(thread.signals.mask().minus(SigSet::of(&[info.signal])));
    }
    // A queue that is full never holds this one back: it is a standard signal.
    let _ = thread.signals.pending.push(info, usize::MAX);
}

/// Job control's side effects, and whether the signal has to be queued at all.
fn prepare(process: &Process, target: Option<&Thread>, info: SigInfo) -> bool {
    let signal = info.signal;
    let signals = &process.signals;
    if signals.is_exiting() {
        return false;
    }
    if SigSet::STOPS.contains(signal) {
        discard(process, SigSet::of(&[Signal::CONT]));
    } else if signal == Signal::CONT {
        discard(process, SigSet::STOPS);
        signals.end_stop(true);
    } else if signal == Signal::KILL {
        signals.end_stop(false);
    }
    if is_protected_init(process, info) {
        return false;
    }
    // Ignored signals are queued only where they are blocked: the disposition may change before they are unblocked.
    !signals.actions().ignored().contains(signal)
        || match target {
            Some(thread) => thread.signals.mask().contains(signal),
            None => is_blocked_by_all(process, signal),
        }
}

/// Process 1 of a pid namespace gets only what it has handlers for, but that a process from outside sends SIGKILL or SIGSTOP
/// (pid_namespaces(7)).
fn is_protected_init(process: &Process, info: SigInfo) -> bool {
    if !process.is_namespace_init() {
        return false;
    }
    let action = process.signals.actions().action(info.signal);
    let is_default = action.sa_handler == coffer_abi_types::signal::SIG_DFL;
    if !is_default {
        return false;
    }
    let is_forcible = info.signal == Signal::KILL || info.signal == Signal::STOP;
    let is_from_inside = match info.fields {
        SigFields::Sender { pid, .. } => PidNamespace::initial()
            .find(pid)
            .is_some_and(|sender| process.pid_namespace().contains(sender.namespace())),
        _ => false,
    };
    process.is_init() || is_from_inside || !is_forcible
}

fn is_blocked_by_all(process: &Process, signal: Signal) -> bool {
    let mut is_blocked = true;
    process.for_each_thread(|thread| {
        is_blocked &= thread.signals.mask().contains(signal);
        is_blocked
    });
    is_blocked
}

fn discard(process: &Process, set: SigSet) {
    process.signals.pending.discard(set);
    process.for_each_thread(|thread| {
        thread.signals.pending.discard(set);
        true
    });
}

/// Wakes the first thread that does not block `signal`. If all block it, those that wait for it by rt_sigtimedwait(2) or a signalfd must
/// still be woken: their sleeps ask again.
fn wake_taker(process: &Process, signal: Signal) {
    let mut is_taken = false;
    process.for_each_thread(|thread| {
        if signal == Signal::KILL {
            thread.interrupt();
        } else if !thread.signals.mask().contains(signal) {
            thread.interrupt();
            is_taken = true;
        }
        !is_taken
    });
    if !is_taken && signal != Signal::KILL {
        process.for_each_thread(|thread| {
            thread.signals.wake();
            true
        });
    }
}

fn queue_limit(process: &Process) -> usize {
    usize::try_from(process.rlimit(Resource::PendingSignals).0).unwrap_or(usize::MAX)
}

/// Sender's numbers as the receiver's pid namespace knows them.
fn translate(mut info: SigInfo, receiver: &Process) -> SigInfo {
    let namespace = receiver.pid_namespace();
    if namespace.level() == 0 {
        return info;
    }
    if let SigFields::Sender { pid, .. } | SigFields::Child { pid, .. } = &mut info.fields {
        *pid = PidNamespace::initial().find(*pid).map_or(0, |id| id.number_in(namespace));
    }
    info
}
