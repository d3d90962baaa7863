//! clock_gettime(2) by the vDSO and by the system call.

use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_getres, clock_gettime};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw;

cases!("time":
    monotonic_never_goes_back,
    monotonic_agrees_between_threads,
    the_call_and_the_vdso_agree,
    realtime_is_after_the_build_of_this_test,
    cpu_time_stands_still_in_sleep,
    resolution_is_a_nanosecond,
    unknown_clocks_fail_with_einval,
    gettimeofday_and_time_agree,
    coarse_clocks_follow,
    uptime_follows_the_monotonic_clock,
    clocks_agree_after_the_machine_was_idle,
);

fn now(clock: ClockId) -> nix::Result<Duration> {
    clock_gettime(clock).map(Duration::from)
}

/// The time by the call itself.
fn call(clock: ClockId) -> nix::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let address = (&raw mut time) as usize;
    let number = clock.as_raw().unsigned_abs() as usize;
    // SAFETY: the call fills a live local.
    unsafe { raw::syscall(libc::SYS_clock_gettime, [number, address]) }?;
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// After a sleep in which nothing runs, the vDSO's clock is the call's, in a new process as well, and goes on while that computes.
fn clocks_agree_after_the_machine_was_idle() -> Outcome {
    std::thread::sleep(Duration::from_secs(2));
    child::passes(|| {
        let start = Instant::now();
        let mut state = 88_172_645_463_325_252_u64;
        let mut rounds = 0;
        while start.elapsed() < Duration::from_millis(100) {
            for _ in 0..1000 {
                state ^= state << 13;
                state = std::hint::black_box(state ^ state >> 7);
            }
            rounds += 1;
            check!(rounds < 1_000_000, "the clock stands still");
            let (before, between, after) = (
                call(ClockId::CLOCK_MONOTONIC)?,
                now(ClockId::CLOCK_MONOTONIC)?,
                call(ClockId::CLOCK_MONOTONIC)?,
            );
            check!(before <= between && between <= after, "{before:?}, {between:?}, {after:?}");
        }
        Ok(())
    })
}

fn monotonic_never_goes_back() -> Outcome {
    let mut last = now(ClockId::CLOCK_MONOTONIC)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        let next = now(ClockId::CLOCK_MONOTONIC)?;
        check!(next >= last, "{next:?} after {last:?}");
        last = next;
    }
    Ok(())
}

fn monotonic_agrees_between_threads() -> Outcome {
    let latest = std::sync::Mutex::new(Duration::ZERO);
    let wrong = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..3000 {
                    let Ok(mut latest) = latest.lock() else { return };
                    match now(ClockId::CLOCK_MONOTONIC) {
                        Ok(time) if time >= *latest => *latest = time,
                        _ => drop(wrong.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    check_eq!(wrong.load(std::sync::atomic::Ordering::Relaxed), 0);
    Ok(())
}

fn the_call_and_the_vdso_agree() -> Outcome {
    for clock in [ClockId::CLOCK_MONOTONIC, ClockId::CLOCK_REALTIME, ClockId::CLOCK_BOOTTIME] {
        for _ in 0..100 {
            let (before, between, after) = (now(clock)?, call(clock)?, now(clock)?);
            check!(before <= between && between <= after, "{clock}: {before:?} {between:?} {after:?}");
        }
    }
    Ok(())
}

fn realtime_is_after_the_build_of_this_test() -> Outcome {
    const NOVEMBER_2023: Duration = Duration::from_secs(1_700_000_000);
    check!(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? > NOVEMBER_2023);
    Ok(())
}

fn cpu_time_stands_still_in_sleep() -> Outcome {
    let clocks = [ClockId::CLOCK_PROCESS_CPUTIME_ID, ClockId::CLOCK_THREAD_CPUTIME_ID];
    for clock in clocks {
        let before = now(clock)?;
        std::thread::sleep(Duration::from_millis(50));
        let slept = now(clock)? - before;
        check!(slept < Duration::from_millis(40), "{clock} went on by {slept:?} in a sleep of 50 ms");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {}
        check!(now(clock)? - before > slept, "{clock} did not go on at work");
    }
    Ok(())
}

fn resolution_is_a_nanosecond() -> Outcome {
    check_eq!(Duration::from(clock_getres(ClockId::CLOCK_MONOTONIC)?), Duration::from_nanos(1));
    Ok(())
}

fn unknown_clocks_fail_with_einval() -> Outcome {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let address = (&raw mut time) as usize;
    // SAFETY: the call may fill a live local.
    check_fails!(unsafe { raw::syscall(libc::SYS_clock_gettime, [99, address]) }, EINVAL);
    check_fails!(clock_gettime(ClockId::from_raw(99)), EINVAL);
    check_fails!(raw::harmless(libc::SYS_clock_gettime, [0, raw::BAD_ADDRESS]), EFAULT);
    Ok(())
}

fn gettimeofday_and_time_agree() -> Outcome {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: the call fills a live local.
    nix::errno::Errno::result(unsafe { libc::gettimeofday(&raw mut time, std::ptr::null_mut()) })?;
    let seconds = now(ClockId::CLOCK_REALTIME)?.as_secs().cast_signed();
    check!((0..2).contains(&(seconds - time.tv_sec)));
    // SAFETY: a null pointer is allowed: the value is returned.
    let third = unsafe { libc::time(std::ptr::null_mut()) };
    check!((0..2).contains(&(third - time.tv_sec)));
    Ok(())
}

fn coarse_clocks_follow() -> Outcome {
    let coarse = now(ClockId::CLOCK_MONOTONIC_COARSE)?;
    let fine = now(ClockId::CLOCK_MONOTONIC)?;
    check!(coarse <= fine && fine - coarse < Duration::from_millis(200), "{coarse:?} and {fine:?}");
    now(ClockId::CLOCK_MONOTONIC_RAW)?;
    Ok(())
}

fn uptime_follows_the_monotonic_clock() -> Outcome {
    let text = std::fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    let clock = now(ClockId::CLOCK_BOOTTIME)?.as_secs_f64();
    check!((uptime - clock).abs() < 1.0, "{uptime} and {clock}");
    Ok(())
}
