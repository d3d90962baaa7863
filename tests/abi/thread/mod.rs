//! Threads and futexes.

use crate::case::Case;

mod futex;
mod processors;
mod pthread;
mod stress;

pub const CASES: &[&[Case]] = &[pthread::CASES, futex::CASES, stress::CASES, processors::CASES];
