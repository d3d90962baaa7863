//! Clocks, sleeping and timers.

use crate::case::Case;

mod clock;
mod sleep;
mod timer;

pub const CASES: &[&[Case]] = &[clock::CASES, sleep::CASES, timer::CASES];
