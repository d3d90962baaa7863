//! POSIX timers: timer_create(2); and interval timers: setitimer(2).

use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("time":
    a_posix_timer_sends_its_signal_with_its_value,
    a_posix_timer_counts_overruns,
    an_interval_timer_tells_what_is_left,
    a_cpu_timer_fires_at_work,
);

fn timer(signal: i32, value: usize) -> Outcome<libc::timer_t> {
    // SAFETY: all zeroes are valid: integers and pointers that are not followed.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    event.sigev_value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    let mut timer = std::ptr::null_mut();
    // SAFETY: both are live locals.
    let result = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    nix::errno::Errno::result(result)?;
    Ok(timer)
}

fn arm(timer: libc::timer_t, first: i64, interval: i64) -> nix::Result<()> {
    let time = |nanos| libc::timespec { tv_sec: 0, tv_nsec: nanos };
    let setting = libc::itimerspec { it_value: time(first), it_interval: time(interval) };
    // SAFETY: the timer exists and the setting is a live local.
    nix::errno::Errno::result(unsafe {
        libc::timer_settime(timer, 0, &raw const setting, std::ptr::null_mut())
    })
    .map(drop)
}

fn only(signal: Signal) -> SigSet {
    let mut set = SigSet::empty();
    set.add(signal);
    set
}

fn a_posix_timer_sends_its_signal_with_its_value() -> Outcome {
    let set = only(Signal::SIGUSR1);
    set.thread_block()?;
    let timer = timer(libc::SIGUSR1, 0x77)?;
    let start = Instant::now();
    arm(timer, 40_000_000, 0)?;
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: both are live.
    let signal = unsafe { libc::sigwaitinfo(set.as_ref(), info.as_mut_ptr()) };
    check_eq!(signal, libc::SIGUSR1);
    check!(start.elapsed() >= Duration::from_millis(40));
    // SAFETY: all zeroes are valid, and the call has filled it.
    let info = unsafe { info.assume_init() };
    check_eq!(info.si_code, libc::SI_TIMER);
    // SAFETY: a timer's signal carries a value.
    check_eq!(unsafe { info.si_value() }.sival_ptr as usize, 0x77);
    // SAFETY: the timer exists.
    nix::errno::Errno::result(unsafe { libc::timer_delete(timer) })?;
    Ok(())
}

fn a_posix_timer_counts_overruns() -> Outcome {
    only(Signal::SIGUSR1).thread_block()?;
    let timer = timer(libc::SIGUSR1, 0)?;
    arm(timer, 5_000_000, 5_000_000)?;
    std::thread::sleep(Duration::from_millis(60));
    check_eq!(only(Signal::SIGUSR1).wait()?, Signal::SIGUSR1);
    // SAFETY: the timer exists.
    let overruns = unsafe { libc::timer_getoverrun(timer) };
    check!(overruns >= 5, "{overruns} overruns in 60 ms at 5 ms");
    arm(timer, 0, 0)?;
    Ok(())
}

fn an_interval_timer_tells_what_is_left() -> Outcome {
    let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let setting = libc::itimerval { it_interval: zero, it_value: libc::timeval { tv_sec: 100, tv_usec: 0 } };
    let mut old = libc::itimerval { it_interval: zero, it_value: zero };
    // SAFETY: the setting is a live local.
    nix::errno::Errno::result(unsafe {
        libc::setitimer(libc::ITIMER_REAL, &raw const setting, std::ptr::null_mut())
    })?;
    // SAFETY: the result is a live local.
    nix::errno::Errno::result(unsafe { libc::getitimer(libc::ITIMER_REAL, &raw mut old) })?;
    check!((98..=100).contains(&old.it_value.tv_sec), "{} s are left of 100", old.it_value.tv_sec);
    check_fails!(crate::raw::harmless(libc::SYS_getitimer, [9, crate::raw::BAD_ADDRESS]), EINVAL);
    Ok(())
}

fn a_cpu_timer_fires_at_work() -> Outcome {
    let child = crate::child::fork(|| {
        let value = libc::timeval { tv_sec: 0, tv_usec: 50_000 };
        let setting = libc::itimerval { it_interval: value, it_value: value };
        // SAFETY: the setting is a live local.
        unsafe { libc::setitimer(libc::ITIMER_VIRTUAL, &raw const setting, std::ptr::null_mut()) };
        loop {
            std::hint::spin_loop();
        }
    })?;
    check_eq!(child.end_signal()?, Signal::SIGVTALRM);
    Ok(())
}
