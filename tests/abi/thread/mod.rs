//! Threads and futexes.

use crate::case::Case;

mod barrier;
mod futex;
mod processors;
mod pthread;
mod stress;

pub const CASES: &[&[Case]] =
    &[pthread::CASES, futex::CASES, barrier::CASES, stress::CASES, processors::CASES];
