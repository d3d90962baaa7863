//! timerfd_create(2), timerfd_settime(2), timerfd_gettime(2): <https://man7.org/linux/man-pages/man2/timerfd_create.2.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::timerfd::{self, TimerFd};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::{O_CLOEXEC, O_NONBLOCK};
use crate::process::credentials::Capability;
use crate::syscall::{Fd, UserPtr};
use crate::time::Clock;
use alloc::sync::Arc;
use coffer_abi_types::time::{itimerspec, timespec};

const TFD_TIMER_ABSTIME: u32 = 1;
const TFD_TIMER_CANCEL_ON_SET: u32 = 2;

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_BOOTTIME: i32 = 7;
const CLOCK_REALTIME_ALARM: i32 = 8;
const CLOCK_BOOTTIME_ALARM: i32 = 9;

/// timerfd_create(2).
pub fn sys_timerfd_create(clock: i32, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let is_alarm = matches!(clock, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM);
    if !is_alarm && !matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME) {
        return Err(Errno::EINVAL.into());
    }
    if is_alarm && !context.process.credentials().has(Capability::WakeAlarm) {
        return Err(Errno::EPERM.into());
    }
    let clock = Clock::from_id(clock).ok_or(Error::new(Errno::EINVAL))?;
    context.install(timerfd::create(clock, flags & O_NONBLOCK)?, flags & O_CLOEXEC != 0)
}

/// timerfd_settime(2).
pub fn sys_timerfd_settime(
    fd: Fd,
    flags: u32,
    new: UserPtr<itimerspec>,
    old: UserPtr<itimerspec>,
    context: &mut Context<'_>,
) -> Result<()> {
    let new = new.read()?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let value_ns = new.it_value.to_ns().ok_or(Error::new(Errno::EINVAL))?;
    let interval_ns = new.it_interval.to_ns().ok_or(Error::new(Errno::EINVAL))?;
    let file = context.process.fds().get_io(fd)?;
    let is_absolute = flags & TFD_TIMER_ABSTIME != 0;
    let is_cancelled_on_set = is_absolute && flags & TFD_TIMER_CANCEL_ON_SET != 0;
    let was = timer(&file)?.set(value_ns, interval_ns, is_absolute, is_cancelled_on_set)?;
    old.write_if_some(&to_abi(was))
}

/// timerfd_gettime(2).
pub fn sys_timerfd_gettime(fd: Fd, current: UserPtr<itimerspec>, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    current.write(&to_abi(timer(&file)?.get()))
}

fn timer(file: &Arc<OpenFile>) -> Result<&TimerFd> {
    timerfd::of(file).ok_or(Error::new(Errno::EINVAL))
}

fn to_abi((left_ns, interval_ns): (u64, u64)) -> itimerspec {
    itimerspec { it_interval: timespec::from_ns(interval_ns), it_value: timespec::from_ns(left_ns) }
}
