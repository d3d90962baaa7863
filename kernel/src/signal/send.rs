//! Sending: into a queue, then a thread that would take it is woken. All of it may be called from an interrupt handler.

use super::action::{Disposition, disposition};
use super::{DefaultAction, SigFields, SigInfo, SigSet, Signal};
use crate::error::{Errno, Result};
use crate::event::IoEvents;
use crate::process::Process;
use crate::process::exit::begin_group_exit;
use crate::process::exit_status::ExitStatus;
use crate::process::group::ProcessGroup;
use crate::process::namespace::pid::PidNamespace;
use crate::process::rlimit::Resource;
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SI_KERNEL, SI_USER, SIG_DFL};

/// Sends to a process: whichever thread does not block it takes it.
///
/// # Errors
/// EAGAIN when a real-time signal finds the queue full.
pub fn to_process(process: &Process, info: SigInfo) -> Result<()> {
    if process.exit_status().is_some() {
        return Ok(());
    }
    send(process, None, info)
}

/// Sends to one thread.
///
/// # Errors
/// As [`to_process`].
pub fn to_thread(thread: &Thread, info: SigInfo) -> Result<()> {
    send(thread.process(), Some(thread), info)
}

fn send(process: &Process, target: Option<&Thread>, info: SigInfo) -> Result<()> {
    let signals = &process.signals;
    if signals.is_exiting() {
        return Ok(());
    }
    if info.signal == Signal::KILL {
        if !is_protected_init(process, info) {
            // At once and for all threads: nothing that is stopped runs on for a moment before it sees a queued signal.
            begin_group_exit(process, ExitStatus::Killed(Signal::KILL));
        }
        return Ok(());
    }
    if SigSet::STOPS.contains(info.signal) {
        discard(process, SigSet::of(&[Signal::CONT]));
    } else if info.signal == Signal::CONT {
        discard(process, SigSet::STOPS);
    }
    if process.signals.is_freezing() && is_fatal(process, target, info) {
        // Nobody in a frozen process would look at it.
        begin_group_exit(process, ExitStatus::Killed(info.signal));
        return Ok(());
    }
    let result = if is_queued(process, target, info) { queue(process, target, info) } else { Ok(()) };
    if info.signal == Signal::CONT {
        // Last, so that its handler is the first thing that runs.
        signals.end_stop();
    }
    result
}

fn queue(process: &Process, target: Option<&Thread>, info: SigInfo) -> Result<()> {
    let pending = target.map_or(&process.signals.pending, |thread| &thread.signals.pending);
    let queued = pending.push(translate(info, process), queue_limit(process));
    if queued.is_err() && info.code != SI_USER && info.code != SI_KERNEL {
        return Err(Errno::EAGAIN.into());
    }
    process.signals.pollee.notify(IoEvents::IN);
    match target {
        None => wake_taker(process, info.signal),
        Some(thread) if thread.signals.mask().contains(info.signal) => thread.signals.wake(),
        Some(thread) => thread.interrupt(),
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
    if actions.action(info.signal).sa_handler == SIG_DFL {
        process.signals.end_protection();
    }
    // A queue that is full never holds this one back: it is a standard signal.
    let _ = thread.signals.pending.push(info, usize::MAX);
}

/// Whether the signal has to be queued at all. Where it is blocked, it always is: the disposition may change before it is unblocked, and
/// sigtimedwait(2) takes it.
fn is_queued(process: &Process, target: Option<&Thread>, info: SigInfo) -> bool {
    let is_wanted =
        !process.signals.actions().ignored().contains(info.signal) && !is_protected_init(process, info);
    is_wanted
        || match target {
            Some(thread) => thread.signals.mask().contains(info.signal),
            None => is_blocked_by_all(process, info.signal),
        }
}

/// Whether taking the signal would be the end of the process, and somebody would take it.
fn is_fatal(process: &Process, target: Option<&Thread>, info: SigInfo) -> bool {
    let action = process.signals.actions().action(info.signal);
    let is_end = matches!(
        disposition(info.signal, &action),
        Disposition::Default(default) if default != DefaultAction::Stop
    );
    let is_blocked = match target {
        Some(thread) => thread.signals.mask().contains(info.signal),
        None => is_blocked_by_all(process, info.signal),
    };
    is_end && !is_blocked && !is_protected_init(process, info)
}

/// Process 1 of a pid namespace gets only what it has handlers for, but that a process from outside sends SIGKILL or SIGSTOP
/// (pid_namespaces(7)).
fn is_protected_init(process: &Process, info: SigInfo) -> bool {
    if !process.is_namespace_init() {
        return false;
    }
    let action = process.signals.actions().action(info.signal);
    let is_default = action.sa_handler == SIG_DFL;
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
        if !thread.signals.mask().contains(signal) {
            thread.interrupt();
            is_taken = true;
        }
        !is_taken
    });
    if !is_taken {
        process.for_each_thread(|thread| {
            thread.signals.wake();
            true
        });
    }
}

fn queue_limit(process: &Process) -> usize {
    usize::try_from(process.rlimit(Resource::PendingSignals).0).unwrap_or(usize::MAX)
}

/// Sender's numbers as the receiver's pid and user namespaces know them.
fn translate(mut info: SigInfo, receiver: &Process) -> SigInfo {
    if let SigFields::Sender { pid, uid, .. } | SigFields::Child { pid, uid, .. } = &mut info.fields {
        let namespace = receiver.pid_namespace();
        if namespace.level() > 0 {
            *pid = PidNamespace::initial().find(*pid).map_or(0, |id| id.number_in(namespace));
        }
        *uid = receiver.credentials().shown_uid(*uid);
    }
    info
}
