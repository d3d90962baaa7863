//! /proc and /sys as programs read them: proc(5), sysfs(5).

use crate::case::Case;

mod machine;
mod own;
mod sys;

pub const CASES: &[&[Case]] = &[own::CASES, machine::CASES, sys::CASES];
