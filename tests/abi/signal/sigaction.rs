//! sigaction(2): flags, what fork and execve keep, what cannot be caught.

use nix::sys::signal::{SaFlags, SigHandler, SigSet, Signal, kill};
use nix::unistd::getpid;

use super::{blocked_code, count_on, counted, disposition_code, install, only};
use crate::case::{Outcome, cases, check_eq, check_fails};
use crate::{child, program};

cases!("signal":
    resethand_runs_once,
    an_ignored_signal_is_dropped,
    kill_and_stop_cannot_be_caught,
    exec_resets_handlers_and_keeps_ignored,
    exec_keeps_the_mask,
    fork_keeps_handlers_and_drops_pending,
    nocldwait_leaves_no_zombie,
);

fn resethand_runs_once() -> Outcome {
    let child = child::fork(|| {
        let _ = count_on(Signal::SIGUSR1, SaFlags::SA_RESETHAND);
        let _ = kill(getpid(), Signal::SIGUSR1);
        if counted() != 1 || disposition_code(libc::SIGUSR1) != 0 {
            return 1;
        }
        let _ = kill(getpid(), Signal::SIGUSR1);
        2
    })?;
    check_eq!(child.end_signal()?, Signal::SIGUSR1);
    Ok(())
}

fn an_ignored_signal_is_dropped() -> Outcome {
    only(Signal::SIGTERM).thread_block()?;
    kill(getpid(), Signal::SIGTERM)?;
    // Ignoring a pending signal discards it.
    install(Signal::SIGTERM, SigHandler::SigIgn, SaFlags::empty(), SigSet::empty())?;
    install(Signal::SIGTERM, SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())?;
    only(Signal::SIGTERM).thread_unblock()?;
    Ok(())
}

fn kill_and_stop_cannot_be_caught() -> Outcome {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        check_fails!(count_on(signal, SaFlags::empty()), EINVAL);
    }
    // Blocking them is accepted and does nothing.
    let child = child::fork(|| {
        let _ = SigSet::all().thread_block();
        nix::unistd::pause();
        0
    })?;
    child.until_asleep()?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    Ok(())
}

fn run(name: &str, signal: i32) -> Outcome<Option<i32>> {
    // execv in a forked child: the standard library's spawn would reset the mask.
    let child = child::fork(|| {
        let number = std::ffi::CString::new(signal.to_string()).unwrap_or_default();
        let name = std::ffi::CString::new(name).unwrap_or_default();
        let path = std::ffi::CString::new(program::SELF).unwrap_or_default();
        let _ = nix::unistd::execv(&path, &[path.as_c_str(), &name, &number]);
        98
    })?;
    Ok(Some(child.exit_code()?))
}

fn exec_resets_handlers_and_keeps_ignored() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    install(Signal::SIGUSR2, SigHandler::SigIgn, SaFlags::empty(), SigSet::empty())?;
    check_eq!(disposition_code(libc::SIGUSR1), 2);
    check_eq!(run("@disposition", libc::SIGUSR1)?, Some(0));
    check_eq!(run("@disposition", libc::SIGUSR2)?, Some(1));
    Ok(())
}

fn exec_keeps_the_mask() -> Outcome {
    only(Signal::SIGUSR2).thread_block()?;
    check_eq!(blocked_code(libc::SIGUSR2), 1);
    check_eq!(run("@blocked", libc::SIGUSR2)?, Some(1));
    check_eq!(run("@blocked", libc::SIGUSR1)?, Some(0));
    Ok(())
}

fn fork_keeps_handlers_and_drops_pending() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    only(Signal::SIGUSR1).thread_block()?;
    kill(getpid(), Signal::SIGUSR1)?;
    child::passes(|| {
        only(Signal::SIGUSR1).thread_unblock()?;
        check_eq!(counted(), 0);
        kill(getpid(), Signal::SIGUSR1)?;
        check_eq!(counted(), 1);
        Ok(())
    })?;
    only(Signal::SIGUSR1).thread_unblock()?;
    check_eq!(counted(), 1);
    Ok(())
}

fn nocldwait_leaves_no_zombie() -> Outcome {
    count_on(Signal::SIGCHLD, SaFlags::SA_NOCLDWAIT)?;
    let child = child::fork(|| 0)?;
    check_fails!(child.wait(), ECHILD);
    check_eq!(counted(), 1);
    Ok(())
}
