//! Threads and futexes.

use crate::case::Case;

mod futex;
mod pthread;
mod stress;

pub const CASES: &[&[Case]] = &[pthread::CASES, futex::CASES, stress::CASES];
