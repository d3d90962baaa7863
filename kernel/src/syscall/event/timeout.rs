//! Time limits as the calls of this area take them. A deadline is monotonic, in ns; `Some(0)` means not to sleep, `None` to sleep as long as it takes.

use crate::error::{Errno, Result};
use crate::syscall::UserPtr;
use coffer_abi_types::time::{timespec, timeval};
use ostd::timer::now_ns;

/// From milliseconds: negative ones are no limit.
pub fn from_ms(ms: i32) -> Option<u64> {
    u64::try_from(ms).ok().map(|ms| after_ns(ms * 1_000_000))
}

/// From a timespec; NULL is no limit.
pub fn from_timespec(limit: UserPtr<timespec>) -> Result<Option<u64>> {
    let Some(limit) = limit.non_null() else { return Ok(None) };
    let ns = limit.read()?.to_ns().ok_or(Errno::EINVAL)?;
    Ok(Some(after_ns(ns)))
}

/// From a timeval, whose microseconds may exceed a second (as Linux takes them); NULL is no limit.
pub fn from_timeval(limit: UserPtr<timeval>) -> Result<Option<u64>> {
    let Some(limit) = limit.non_null() else { return Ok(None) };
    let timeval { tv_sec, tv_usec } = limit.read()?;
    let (Ok(seconds), Ok(micros)) = (u64::try_from(tv_sec), u64::try_from(tv_usec)) else {
        return Err(Errno::EINVAL.into());
    };
    let ns = seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000));
    Ok(Some(after_ns(ns)))
}

/// What is left until `deadline_ns`.
pub fn left_ns(deadline_ns: u64) -> u64 {
    if deadline_ns == 0 { 0 } else { deadline_ns.saturating_sub(now_ns()) }
}

/// Tells the caller of ppoll(2) or pselect(2) what is left. A limit in memory that only reads is not an error: the call's result is what counts.
pub fn write_left(limit: UserPtr<timespec>, deadline_ns: Option<u64>) {
    if let Some(deadline_ns) = deadline_ns {
        let _ = limit.write_if_some(&timespec::from_ns(left_ns(deadline_ns)));
    }
}

fn after_ns(ns: u64) -> u64 {
    if ns == 0 { 0 } else { now_ns().saturating_add(ns) }
}
