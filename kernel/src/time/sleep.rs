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
            Clock::Cpu(_) => {
                let left_ns = time_ns.saturating_sub(clock.now()?);
                if left_ns == 0 {
                    return Ok(());
                }
                // CPU time passes at most as fast as there are CPUs; look again when it may have come.
                let step_ns = (left_ns / ostd::cpu::count() as u64).max(clock::COARSE_RESOLUTION_NS);
                sleep_until(clock::monotonic_now().saturating_add(step_ns))?;
            }
        }
    }
}
