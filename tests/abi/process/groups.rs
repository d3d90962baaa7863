//! Process groups and sessions: setpgid(2), setsid(2), kill(2) of a group.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid, setpgid, setsid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("process":
    a_child_is_in_its_parents_group_and_session,
    setpgid_moves_a_child,
    setpgid_into_another_session_fails_with_eperm,
    setsid_makes_a_leader,
    setsid_by_a_group_leader_fails_with_eperm,
    kill_reaches_the_whole_group,
    kill_zero_reaches_the_own_group,
    kill_of_nobody_fails_with_esrch,
);

fn pause_forever() -> i32 {
    nix::unistd::pause();
    0
}

fn a_child_is_in_its_parents_group_and_session() -> Outcome {
    let (group, session) = (getpgrp(), getsid(None)?);
    let child = child::fork(|| i32::from(getpgrp() != group || getsid(None) != Ok(session)))?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn setpgid_moves_a_child() -> Outcome {
    let child = child::fork(pause_forever)?;
    setpgid(child.pid, child.pid)?;
    check_eq!(getpgid(Some(child.pid))?, child.pid);
    setpgid(child.pid, getpgrp())?;
    check_eq!(getpgid(Some(child.pid))?, getpgrp());
    child.kill(Signal::SIGKILL)?;
    child.wait()?;
    check_fails!(setpgid(child.pid, child.pid), ESRCH);
    Ok(())
}

fn setpgid_into_another_session_fails_with_eperm() -> Outcome {
    let leader = child::fork(|| if setsid().is_ok() { pause_forever() } else { 1 })?;
    child::until("the child leads a session", || Ok(getsid(Some(leader.pid))? == leader.pid))?;
    check_fails!(setpgid(leader.pid, getpgrp()), EPERM);
    check_fails!(setpgid(Pid::from_raw(0), leader.pid), EPERM);
    leader.kill(Signal::SIGKILL)?;
    leader.wait()?;
    Ok(())
}

fn setsid_makes_a_leader() -> Outcome {
    child::passes(|| {
        let session = setsid()?;
        check_eq!(session, getpid());
        check_eq!(getpgrp(), getpid());
        check_eq!(getsid(None)?, getpid());
        // A session leader has no controlling terminal at first.
        check_fails!(std::fs::File::open("/dev/tty"), ENXIO);
        Ok(())
    })
}

fn setsid_by_a_group_leader_fails_with_eperm() -> Outcome {
    check_eq!(getpgrp(), getpid());
    check_fails!(setsid(), EPERM);
    Ok(())
}

fn kill_reaches_the_whole_group() -> Outcome {
    let first = child::fork(pause_forever)?;
    setpgid(first.pid, first.pid)?;
    let second = child::fork(pause_forever)?;
    setpgid(second.pid, first.pid)?;
    killpg(first.pid, Signal::SIGTERM)?;
    check_eq!(first.end_signal()?, Signal::SIGTERM);
    check_eq!(second.end_signal()?, Signal::SIGTERM);
    check_fails!(killpg(first.pid, Signal::SIGTERM), ESRCH);
    Ok(())
}

fn kill_zero_reaches_the_own_group() -> Outcome {
    let child = child::fork(|| {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        let inner = child::fork(pause_forever);
        let _ = nix::sys::signal::kill(Pid::from_raw(0), Signal::SIGUSR2);
        i32::from(inner.is_err())
    })?;
    check_eq!(child.end_signal()?, Signal::SIGUSR2);
    Ok(())
}

fn kill_of_nobody_fails_with_esrch() -> Outcome {
    check_fails!(nix::sys::signal::kill(Pid::from_raw(0x3f_ffff), Signal::SIGTERM), ESRCH);
    check!(nix::sys::signal::kill(getpid(), None).is_ok());
    check_fails!(
        crate::raw::harmless(libc::SYS_kill, [getpid().as_raw().unsigned_abs() as usize, 200]),
        EINVAL
    );
    Ok(())
}
