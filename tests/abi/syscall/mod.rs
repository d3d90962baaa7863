//! The system call boundary itself.

use crate::case::Case;

mod boundary;
mod identity;

pub const CASES: &[&[Case]] = &[boundary::CASES, identity::CASES];
