//! Time: clocks, sleeping, and what a timer does when it fires.

pub mod clock;
pub mod sleep;

pub use clock::{Clock, monotonic_now, realtime_now};
