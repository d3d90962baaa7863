//! [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html) and its elders.

use super::{clock, nanoseconds};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;
use crate::time::clock::{COARSE_RESOLUTION_NS, RESOLUTION_NS, set_realtime};
use crate::time::{Clock, realtime_now};
use coffer_abi_types::time::{timespec, timeval, timezone};

/// Reads a clock.
pub fn sys_clock_gettime(id: i32, out: UserPtr<timespec>, _context: &mut Context<'_>) -> Result<()> {
    out.write(&timespec::from_ns(clock(id)?.now()?))
}

/// Reads a clock's resolution.
pub fn sys_clock_getres(id: i32, out: UserPtr<timespec>, _context: &mut Context<'_>) -> Result<()> {
    clock(id)?.now()?;
    let resolution_ns = if Clock::is_coarse(id) { COARSE_RESOLUTION_NS } else { RESOLUTION_NS };
    out.write_if_some(&timespec::from_ns(resolution_ns))
}

/// Sets real time.
pub fn sys_clock_settime(id: i32, time: UserPtr<timespec>, context: &mut Context<'_>) -> Result<()> {
    clock(id)?;
    // Only CLOCK_REALTIME itself can be set.
    if id != 0 {
        return Err(Errno::EINVAL.into());
    }
    set_time(nanoseconds(time.read()?)?, context)
}

/// Reads real time, in microseconds.
pub fn sys_gettimeofday(
    time: UserPtr<timeval>,
    zone: UserPtr<timezone>,
    _context: &mut Context<'_>,
) -> Result<()> {
    time.write_if_some(&timeval::from_ns(realtime_now()))?;
    zone.write_if_some(&timezone::default())
}

/// Sets real time. The time zone is kept by nobody any more.
pub fn sys_settimeofday(
    time: UserPtr<timeval>,
    _zone: UserPtr<timezone>,
    context: &mut Context<'_>,
) -> Result<()> {
    let Some(time) = time.non_null() else { return Ok(()) };
    set_time(time.read()?.to_ns().ok_or(Errno::EINVAL)?, context)
}

/// Reads real time, in seconds.
pub fn sys_time(out: UserPtr<i64>, _context: &mut Context<'_>) -> Result<i64> {
    let seconds = (realtime_now() / 1_000_000_000) as i64;
    out.write_if_some(&seconds)?;
    Ok(seconds)
}

fn set_time(now_ns: u64, context: &Context<'_>) -> Result<()> {
    if !context.process.credentials().has(Capability::SysTime) {
        return Err(Errno::EPERM.into());
    }
    set_realtime(now_ns)
}
