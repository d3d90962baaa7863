//! [setitimer(2)](https://man7.org/linux/man-pages/man2/setitimer.2.html), getitimer(2) and alarm(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use crate::time::interval_timer::{IntervalTimer, Kind};
use alloc::sync::Arc;
use coffer_abi_types::time::{itimerval, timeval};

/// Sets an interval timer.
pub fn sys_setitimer(
    which: u32,
    new: UserPtr<itimerval>,
    old: UserPtr<itimerval>,
    context: &mut Context<'_>,
) -> Result<()> {
    let timer = timer(which, context)?;
    // Linux takes NULL as zeros.
    let new = match new.non_null() {
        Some(new) => new.read()?,
        None => itimerval::default(),
    };
    let first_ns = new.it_value.to_ns().ok_or(Errno::EINVAL)?;
    let interval_ns = new.it_interval.to_ns().ok_or(Errno::EINVAL)?;
    let before = timer.set(first_ns, interval_ns);
    old.write_if_some(&encode(before))
}

/// Reads an interval timer.
pub fn sys_getitimer(which: u32, out: UserPtr<itimerval>, context: &mut Context<'_>) -> Result<()> {
    out.write(&encode(timer(which, context)?.get()))
}

/// Sets ITIMER_REAL in seconds; returns the seconds that were left, rounded as Linux does it: never to 0.
pub fn sys_alarm(seconds: u32, context: &mut Context<'_>) -> Result<u32> {
    let (left_ns, _) = timer(0, context)?.set(u64::from(seconds) * 1_000_000_000, 0);
    let rounded = (left_ns + 500_000_000) / 1_000_000_000;
    Ok(if left_ns > 0 { rounded.max(1) as u32 } else { 0 })
}

fn timer<'a>(which: u32, context: &'a Context<'_>) -> Result<&'a Arc<IntervalTimer>> {
    let kind = match which {
        0 => Kind::Real,
        1 => Kind::Virtual,
        2 => Kind::Prof,
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(context.process.timers.interval(kind, context.process))
}

fn encode((left_ns, interval_ns): (u64, u64)) -> itimerval {
    // At least a microsecond: zero would mean that it is disarmed.
    let left_ns = if left_ns > 0 { left_ns.max(1000) } else { 0 };
    itimerval { it_interval: timeval::from_ns(interval_ns), it_value: timeval::from_ns(left_ns) }
}
