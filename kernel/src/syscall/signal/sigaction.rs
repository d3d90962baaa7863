//! [rt_sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html)

use super::{check_set_len, signal};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::{SigAction, SigSet};
use crate::syscall::UserPtr;
use coffer_abi_types::signal::{
    SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER, SA_SIGINFO,
};

/// The flags that there are: others read back as clear, so that programs can tell.
const KNOWN: u64 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;

/// What the process does with a signal.
pub fn sys_rt_sigaction(
    number: i32,
    new: UserPtr<SigAction>,
    old: UserPtr<SigAction>,
    set_len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    check_set_len(set_len)?;
    let signal = signal(number)?;
    let actions = context.process.signals.actions();
    let new = if new.is_null() { None } else { Some(new.read()?) };
    let before = if let Some(mut action) = new {
        if SigSet::UNMASKABLE.contains(signal) {
            return Err(Errno::EINVAL.into());
        }
        action.sa_flags &= KNOWN;
        action.sa_mask = SigSet::mask(action.sa_mask).0;
        let before = actions.set_action(signal, action);
        if actions.ignored().contains(signal) {
            // POSIX: a pending signal that becomes ignored is discarded.
            let set = SigSet::of(&[signal]);
            context.process.signals.pending.discard(set);
            context.process.for_each_thread(|thread| {
                thread.signals.pending.discard(set);
                true
            });
        }
        before
    } else {
        actions.action(signal)
    };
    old.write_if_some(&before)?;
    Ok(0)
}
