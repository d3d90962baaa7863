//! wait4(2) and waitid(2).

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, wait, waitid, waitpid};
use nix::unistd::{Pid, getpid, getppid, setpgid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("process":
    wait_reports_the_exit_code,
    wait_truncates_the_exit_code_to_a_byte,
    wait_reports_the_ending_signal,
    wait_without_children_fails_with_echild,
    wait_for_a_stranger_fails_with_echild,
    wait_nohang_returns_at_once,
    wait_for_any_child_takes_each_once,
    wait_for_a_process_group,
    wait_reports_stop_and_continue,
    waitid_nowait_leaves_the_zombie,
    wait_with_bad_options_fails_with_einval,
    ignoring_sigchld_reaps_by_itself,
    orphans_go_to_the_subreaper,
    wait4_reports_usage,
    a_zombie_can_be_signalled,
);

fn wait_reports_the_exit_code() -> Outcome {
    for code in [0, 1, 42, 255] {
        check_eq!(child::fork(|| code)?.exit_code()?, code);
    }
    Ok(())
}

fn wait_truncates_the_exit_code_to_a_byte() -> Outcome {
    check_eq!(child::fork(|| 0x1234)?.exit_code()?, 0x34);
    check_eq!(child::fork(|| -1)?.exit_code()?, 255);
    Ok(())
}

fn wait_reports_the_ending_signal() -> Outcome {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGUSR1] {
        let child = child::fork(|| {
            nix::unistd::pause();
            0
        })?;
        child.kill(signal)?;
        check_eq!(child.end_signal()?, signal);
    }
    Ok(())
}

fn wait_without_children_fails_with_echild() -> Outcome {
    check_fails!(wait(), ECHILD);
    Ok(())
}

fn wait_for_a_stranger_fails_with_echild() -> Outcome {
    check_fails!(waitpid(getppid(), None), ECHILD);
    check_fails!(waitpid(getpid(), None), ECHILD);
    Ok(())
}

fn wait_nohang_returns_at_once() -> Outcome {
    let child = child::fork(|| {
        nix::unistd::pause();
        0
    })?;
    check_eq!(child.poll()?, WaitStatus::StillAlive);
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    check_fails!(child.poll(), ECHILD);
    Ok(())
}

fn wait_for_any_child_takes_each_once() -> Outcome {
    let mut pids =
        (0..5).map(|code| Ok(child::fork(move || code)?.pid)).collect::<Result<Vec<_>, Errno>>()?;
    for _ in 0..5 {
        let pid = wait()?.pid();
        check!(pid.is_some_and(|pid| pids.contains(&pid)), "waited for {pid:?}");
        pids.retain(|known| Some(*known) != pid);
    }
    check!(pids.is_empty());
    check_fails!(wait(), ECHILD);
    Ok(())
}

fn wait_for_a_process_group() -> Outcome {
    let other = child::fork(|| 1)?;
    let grouped = child::fork(|| {
        nix::unistd::pause();
        0
    })?;
    setpgid(grouped.pid, grouped.pid)?;
    grouped.kill(Signal::SIGKILL)?;
    let status = waitpid(Pid::from_raw(-grouped.pid.as_raw()), None)?;
    check_eq!(status.pid(), Some(grouped.pid));
    check_eq!(other.exit_code()?, 1);
    Ok(())
}

fn wait_reports_stop_and_continue() -> Outcome {
    let child = child::fork(|| {
        let _ = nix::sys::signal::raise(Signal::SIGSTOP);
        nix::unistd::pause();
        0
    })?;
    let options = Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED);
    check_eq!(waitpid(child.pid, options)?, WaitStatus::Stopped(child.pid, Signal::SIGSTOP));
    check_eq!(child.state()?, 'T');
    child.kill(Signal::SIGCONT)?;
    check_eq!(waitpid(child.pid, options)?, WaitStatus::Continued(child.pid));
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    Ok(())
}

fn waitid_nowait_leaves_the_zombie() -> Outcome {
    let child = child::fork(|| 5)?;
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    for _ in 0..2 {
        check_eq!(waitid(Id::Pid(child.pid), look)?, WaitStatus::Exited(child.pid, 5));
    }
    check_eq!(child.state()?, 'Z');
    check_eq!(child.exit_code()?, 5);
    Ok(())
}

fn wait_with_bad_options_fails_with_einval() -> Outcome {
    let any = usize::MAX;
    check_fails!(crate::raw::harmless(libc::SYS_wait4, [any, 0, 0x100, 0]), EINVAL);
    Ok(())
}

fn ignoring_sigchld_reaps_by_itself() -> Outcome {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    unsafe { sigaction(Signal::SIGCHLD, &ignore) }?;
    let child = child::fork(|| 3)?;
    // The wait lasts until the child is gone, and then has nothing to report.
    check_fails!(child.wait(), ECHILD);
    check_fails!(child.kill(Signal::SIGTERM), ESRCH);
    Ok(())
}

fn orphans_go_to_the_subreaper() -> Outcome {
    nix::sys::prctl::set_child_subreaper(true)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let me = getpid();
    let middle = child::fork(|| {
        let middle = getpid();
        let grandchild = child::fork(|| {
            let adopted = child::until("a new parent", || Ok(getppid() != middle)).is_ok() && getppid() == me;
            let _ = nix::unistd::write(&writer, &[u8::from(adopted)]);
            9
        });
        i32::from(grandchild.is_err())
    })?;
    check_eq!(middle.exit_code()?, 0);
    let mut adopted = [0];
    nix::unistd::read(&reader, &mut adopted)?;
    check_eq!(adopted, [1]);
    check!(matches!(wait()?, WaitStatus::Exited(_, 9)));
    Ok(())
}

fn wait4_reports_usage() -> Outcome {
    let child = child::fork(|| {
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        0
    })?;
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live locals of the types that the call fills.
    let pid = unsafe { libc::wait4(child.pid.as_raw(), &raw mut status, 0, usage.as_mut_ptr()) };
    check_eq!(pid, child.pid.as_raw());
    // SAFETY: all zeroes are a valid rusage, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    let used = usage.ru_utime.tv_usec
        + usage.ru_stime.tv_usec
        + (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000;
    check!(used > 10_000, "a child that worked for 100 ms used {used} us");
    Ok(())
}

fn a_zombie_can_be_signalled() -> Outcome {
    let child = child::fork(|| 0)?;
    child::until("a zombie", || Ok(child.state()? == 'Z'))?;
    child.kill(Signal::SIGTERM)?;
    check_eq!(child.exit_code()?, 0);
    check_fails!(child.kill(Signal::SIGTERM), ESRCH);
    Ok(())
}
