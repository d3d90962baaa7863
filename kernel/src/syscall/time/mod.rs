//! Calls about time.

pub mod adjust;
pub mod clock;
pub mod interval_timer;
pub mod nanosleep;
pub mod timer;
pub mod times;

use crate::error::{Errno, Result};
use crate::time::Clock;
use coffer_abi_types::time::timespec;

/// The clock `id` names, or EINVAL.
fn clock(id: i32) -> Result<Clock> {
    Clock::from_id(id).ok_or(Errno::EINVAL.into())
}

/// A time or duration in nanoseconds, or EINVAL.
fn nanoseconds(time: timespec) -> Result<u64> {
    time.to_ns().ok_or(Errno::EINVAL.into())
}
