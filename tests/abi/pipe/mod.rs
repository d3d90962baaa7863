//! Pipes and FIFOs.

use crate::case::Case;

mod fifo;
mod stream;

pub const CASES: &[&[Case]] = &[stream::CASES, fifo::CASES];
