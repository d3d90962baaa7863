//! Terminals: pseudo terminals, their settings, and job control.

use crate::case::Case;

mod job;
mod line;
mod pty;

pub const CASES: &[&[Case]] = &[pty::CASES, line::CASES, job::CASES];
