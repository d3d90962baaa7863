//! nanosleep(2), clock_nanosleep(2), and how late a sleeper wakes.

use std::time::{Duration, Instant};

use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use crate::case::{Outcome, cases, check, check_fails};
use crate::raw::{BAD_ADDRESS, harmless};

cases!("time":
    a_sleep_is_never_too_short,
    a_sleep_until_a_point_in_time,
    a_point_in_the_past_is_no_sleep,
    bad_times_fail_with_einval,
    sleepers_wake_in_order,
);

fn a_sleep_is_never_too_short() -> Outcome {
    for millis in [0, 1, 5, 20, 100] {
        let (asked, start) = (Duration::from_millis(millis), Instant::now());
        std::thread::sleep(asked);
        let took = start.elapsed();
        check!(took >= asked && took < asked + Duration::from_secs(1), "asked for {asked:?}, took {took:?}");
    }
    Ok(())
}

fn a_sleep_until_a_point_in_time() -> Outcome {
    let target = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?) + Duration::from_millis(40);
    let time = nix::sys::time::TimeSpec::from_duration(target);
    clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &time)?;
    check!(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?) >= target);
    Ok(())
}

fn a_point_in_the_past_is_no_sleep() -> Outcome {
    let start = Instant::now();
    let time = nix::sys::time::TimeSpec::new(0, 1);
    clock_nanosleep(ClockId::CLOCK_REALTIME, ClockNanosleepFlags::TIMER_ABSTIME, &time)?;
    check!(start.elapsed() < Duration::from_millis(500));
    Ok(())
}

fn bad_times_fail_with_einval() -> Outcome {
    for (seconds, nanos) in [(0, 1_000_000_000), (0, -1), (-1, 0)] {
        let time = libc::timespec { tv_sec: seconds, tv_nsec: nanos };
        // SAFETY: the call reads a live local.
        let result = unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
        check_fails!(nix::errno::Errno::result(result), EINVAL);
    }
    check_fails!(harmless(libc::SYS_nanosleep, [BAD_ADDRESS, 0]), EFAULT);
    Ok(())
}

fn sleepers_wake_in_order() -> Outcome {
    let (sender, receiver) = std::sync::mpsc::channel();
    for id in [3_u64, 1, 4, 2] {
        let sender = sender.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(id * 60));
            let _ = sender.send(id);
        });
    }
    drop(sender);
    let order: Vec<u64> = receiver.iter().collect();
    check!(order == [1, 2, 3, 4], "{order:?}");
    Ok(())
}
