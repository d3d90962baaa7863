//! [kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html), [tkill(2), tgkill(2)](https://man7.org/linux/man-pages/man2/tkill.2.html)

use super::signal_or_question;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::signal::permission::check;
use crate::signal::{SigInfo, Signal, send};
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SI_TKILL, SI_USER};

/// Sends to a process, a group, or everybody.
pub fn sys_kill(pid: i32, number: i32, context: &mut Context<'_>) -> Result<usize> {
    let signal = signal_or_question(number)?;
    let sender = context.process;
    let namespace = sender.pid_namespace();
    match pid {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => {
            let all = namespace.all().into_iter().filter_map(|id| id.process());
            // Not ourselves, and not the namespace's init (kill(2)).
            let others =
                all.filter(|other| !Arc::ptr_eq(other, sender) && other.id().number_in(namespace) != 1);
            to_all(sender, others, signal)?;
        }
        0 => to_all(sender, sender.group().members().into_iter(), signal)?,
        pid if pid < 0 => {
            let group = namespace.find(pid.unsigned_abs()).and_then(|id| id.group()).ok_or(Errno::ESRCH)?;
            to_all(sender, group.members().into_iter(), signal)?;
        }
        pid => {
            let id = namespace.find(pid as u32).ok_or(Errno::ESRCH)?;
            let target = id.process().or_else(|| id.thread().map(|thread| thread.process().clone()));
            let target = target.ok_or(Errno::ESRCH)?;
            to_one(sender, &target, signal)?;
        }
    }
    Ok(0)
}

/// Sends to a thread.
pub fn sys_tkill(tid: i32, number: i32, context: &mut Context<'_>) -> Result<usize> {
    if tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let signal = signal_or_question(number)?;
    let target = thread(tid, None, context)?;
    to_thread(context.process, &target, signal)
}

/// Sends to a thread of a process.
pub fn sys_tgkill(pid: i32, tid: i32, number: i32, context: &mut Context<'_>) -> Result<usize> {
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let signal = signal_or_question(number)?;
    let target = thread(tid, Some(pid), context)?;
    to_thread(context.process, &target, signal)
}

/// The thread with this number, in process `pid` if that is given.
pub(super) fn thread(tid: i32, pid: Option<i32>, context: &Context<'_>) -> Result<Arc<Thread>> {
    let namespace = context.process.pid_namespace();
    let id = namespace.find(tid.unsigned_abs()).ok_or(Errno::ESRCH)?;
    let thread = id.thread().ok_or(Errno::ESRCH)?;
    let is_member = pid.is_none_or(|pid| thread.process().id().number_in(namespace) == pid.unsigned_abs());
    if is_member { Ok(thread) } else { Err(Errno::ESRCH.into()) }
}

fn to_thread(sender: &Arc<Process>, target: &Thread, signal: Option<Signal>) -> Result<usize> {
    check(sender, target.process(), signal)?;
    if let Some(signal) = signal {
        send::to_thread(target, SigInfo::from_process(signal, SI_TKILL, sender))?;
    }
    Ok(0)
}

fn to_one(sender: &Arc<Process>, target: &Process, signal: Option<Signal>) -> Result<()> {
    check(sender, target, signal)?;
    match signal {
        Some(signal) => send::to_process(target, SigInfo::from_process(signal, SI_USER, sender)),
        None => Ok(()),
    }
}

/// Succeeds if one could be sent to; ESRCH if there is nobody, EPERM if nobody may be.
fn to_all(
    sender: &Arc<Process>,
    targets: impl Iterator<Item = Arc<Process>>,
    signal: Option<Signal>,
) -> Result<()> {
    let mut result = Err(Errno::ESRCH.into());
    for target in targets {
        let one = to_one(sender, &target, signal);
        if result.is_err() {
            result = one;
        }
    }
    result
}
