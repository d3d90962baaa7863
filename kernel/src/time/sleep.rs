//! Sleeping until a clock shows a time.

use super::clock::{self, Clock};
use crate::error::{Errno, Result};
use crate::thread::wait::{sleep_until, wait_until};

/// Sleeps until `clock` shows `time_ns`. When real time is set meanwhile, the sleep ends earlier or later (clock_nanosleep(2)).
///
/// # Errors
/// ERESTARTSYS on a signal; EINVAL if the clock's process is gone.
pub fn sleep_until_clock(clock: Clock, time_ns: u64) -> Result<()> {
    loop {
        match clock {
            Clock::Monotonic => return sleep_until(time_ns),
            Clock::Realtime => {
                let offset_ns = clock::offset_ns();
                let was_set = || (clock::offset_ns() != offset_ns).then_some(());
                match wait_until(&clock::REALTIME_SET, Some(clock.to_monotonic(time_ns)), was_set) {
                    Err(error) if error.errno() == Errno::ETIMEDOUT => return Ok(()),
                    result => result?,
                }
            }
        }
    }
}
