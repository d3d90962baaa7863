//! rt_sigsuspend(2), rt_sigtimedwait(2), pause(2), alarm(2).

use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigSet, Signal, kill};
use nix::unistd::getpid;

use super::{count_on, counted, only};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("signal":
    sigsuspend_swaps_the_mask_while_it_waits,
    sigtimedwait_takes_a_pending_signal,
    sigtimedwait_times_out_with_eagain,
    sigwait_wakes_on_a_signal_from_another_process,
    alarm_fires_once,
    setitimer_fires_again_and_again,
);

fn sigsuspend_swaps_the_mask_while_it_waits() -> Outcome {
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    only(Signal::SIGUSR1).thread_block()?;
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!(counted(), 0);
    // Returns once the handler has run; nix turns its EINTR into success.
    SigSet::empty().suspend()?;
    check_eq!(counted(), 1);
    check!(SigSet::thread_get_mask()?.contains(Signal::SIGUSR1), "the mask did not come back");
    Ok(())
}

fn timed_wait(signal: Signal, timeout: Duration) -> nix::Result<(i32, libc::siginfo_t)> {
    let set = only(signal);
    let timeout = nix::sys::time::TimeSpec::from_duration(timeout);
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: all three pointers are to live values of their types.
    let result = unsafe { libc::sigtimedwait(set.as_ref(), info.as_mut_ptr(), timeout.as_ref()) };
    // SAFETY: all zeroes are valid information, and the call may have filled it.
    let info = unsafe { info.assume_init() };
    nix::errno::Errno::result(result).map(|signal| (signal, info))
}

fn sigtimedwait_takes_a_pending_signal() -> Outcome {
    only(Signal::SIGUSR2).thread_block()?;
    kill(getpid(), Signal::SIGUSR2)?;
    let (signal, info) = timed_wait(Signal::SIGUSR2, Duration::from_secs(2))?;
    check_eq!((signal, info.si_signo, info.si_code), (libc::SIGUSR2, libc::SIGUSR2, libc::SI_USER));
    // SAFETY: kill fills the sender.
    check_eq!(unsafe { info.si_pid() }, getpid().as_raw());
    only(Signal::SIGUSR2).thread_unblock()?;
    Ok(())
}

fn sigtimedwait_times_out_with_eagain() -> Outcome {
    only(Signal::SIGUSR2).thread_block()?;
    let start = Instant::now();
    check_fails!(timed_wait(Signal::SIGUSR2, Duration::from_millis(60)), EAGAIN);
    check!(start.elapsed() >= Duration::from_millis(60), "after {:?}", start.elapsed());
    Ok(())
}

fn sigwait_wakes_on_a_signal_from_another_process() -> Outcome {
    only(Signal::SIGUSR2).thread_block()?;
    let parent = getpid();
    let child = child::fork(|| {
        std::thread::sleep(Duration::from_millis(30));
        i32::from(kill(parent, Signal::SIGUSR2).is_err())
    })?;
    check_eq!(only(Signal::SIGUSR2).wait()?, Signal::SIGUSR2);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn alarm_fires_once() -> Outcome {
    count_on(Signal::SIGALRM, SaFlags::empty())?;
    check_eq!(nix::unistd::alarm::set(100), None);
    check!(nix::unistd::alarm::set(1).is_some_and(|left| (99..=100).contains(&left)));
    let start = Instant::now();
    nix::unistd::pause();
    check_eq!(counted(), 1);
    check!(start.elapsed() > Duration::from_millis(900), "after {:?}", start.elapsed());
    Ok(())
}

fn setitimer_fires_again_and_again() -> Outcome {
    count_on(Signal::SIGALRM, SaFlags::empty())?;
    let period = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: the value is a live local.
    nix::errno::Errno::result(unsafe {
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut())
    })?;
    let start = Instant::now();
    while counted() < 5 {
        nix::unistd::pause();
    }
    check!(start.elapsed() >= Duration::from_millis(95), "five periods of 20 ms in {:?}", start.elapsed());
    Ok(())
}
