//! timerfd_create(2).

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use nix::unistd::read;

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("event":
    a_timerfd_fires_once,
    a_timerfd_counts_its_periods,
    a_timerfd_is_polled,
    a_timerfd_tells_what_is_left_and_is_disarmed,
    a_timerfd_takes_a_point_in_time,
);

fn after(duration: Duration) -> Expiration {
    Expiration::OneShot(TimeSpec::from_duration(duration))
}

fn new(flags: TimerFlags) -> nix::Result<TimerFd> {
    TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)
}

fn count(timer: &TimerFd) -> nix::Result<u64> {
    let mut bytes = [0; 8];
    read(timer, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn a_timerfd_fires_once() -> Outcome {
    let timer = new(TimerFlags::empty())?;
    let start = Instant::now();
    timer.set(after(Duration::from_millis(40)), TimerSetTimeFlags::empty())?;
    check_eq!(count(&timer)?, 1);
    check!(start.elapsed() >= Duration::from_millis(40));
    Ok(())
}

fn a_timerfd_counts_its_periods() -> Outcome {
    let timer = new(TimerFlags::TFD_NONBLOCK)?;
    timer.set(
        Expiration::Interval(TimeSpec::from_duration(Duration::from_millis(10))),
        TimerSetTimeFlags::empty(),
    )?;
    check_fails!(count(&timer), EAGAIN);
    std::thread::sleep(Duration::from_millis(65));
    let periods = count(&timer)?;
    check!((6..60).contains(&periods), "{periods} periods of 10 ms in 65 ms");
    check_fails!(count(&timer), EAGAIN);
    Ok(())
}

fn a_timerfd_is_polled() -> Outcome {
    let timer = new(TimerFlags::empty())?;
    timer.set(after(Duration::from_millis(30)), TimerSetTimeFlags::empty())?;
    check_eq!(poll(&mut [PollFd::new(timer.as_fd(), PollFlags::POLLIN)], 0_u8)?, 0);
    check_eq!(poll(&mut [PollFd::new(timer.as_fd(), PollFlags::POLLIN)], 2000_u16)?, 1);
    Ok(())
}

fn a_timerfd_tells_what_is_left_and_is_disarmed() -> Outcome {
    let timer = new(TimerFlags::TFD_NONBLOCK)?;
    check!(timer.get()?.is_none());
    timer.set(after(Duration::from_secs(100)), TimerSetTimeFlags::empty())?;
    let left = match timer.get()? {
        Some(Expiration::OneShot(left)) => Duration::from(left),
        other => return Err(crate::case::Failure::wrong(format!("{other:?}"))),
    };
    check!(left > Duration::from_secs(95) && left <= Duration::from_secs(100));
    timer.unset()?;
    check!(timer.get()?.is_none());
    let owned: &OwnedFd = &OwnedFd::from(timer);
    check_fails!(read(owned, &mut [0; 4]), EINVAL);
    Ok(())
}

fn a_timerfd_takes_a_point_in_time() -> Outcome {
    let timer = new(TimerFlags::empty())?;
    let now = Duration::from(nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?);
    timer.set(after(now + Duration::from_millis(30)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    check_eq!(count(&timer)?, 1);
    timer.set(after(Duration::from_nanos(1)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    check_eq!(count(&timer)?, 1);
    Ok(())
}
