//! Time: clocks, sleeping, and the timers of processes.
//!
//! Timers fire in interrupts; what they do to processes is done by a task of its own ([`alarm`]).

pub mod alarm;
pub mod clock;
pub mod countdown;
pub mod cpu_clock;
pub mod interval_timer;
pub mod posix_timer;
pub mod process_timers;
pub mod sleep;

pub use clock::{Clock, monotonic_now, realtime_now};
pub use process_timers::ProcessTimers;

/// Starts what serves timers. Part of boot.
pub fn init() {
    if let Err(error) = alarm::start() {
        panic!("no task for timers: {error:?}");
    }
}
