//! Processes: making them, replacing their program, waiting for them, and what belongs to them.

use crate::case::Case;

mod clone;
mod credentials;
mod exec;
mod fork;
mod groups;
mod limits;
mod odd;
mod prctl;
mod seccomp;
mod wait;

pub const CASES: &[&[Case]] = &[
    fork::CASES,
    wait::CASES,
    clone::CASES,
    exec::CASES,
    groups::CASES,
    prctl::CASES,
    seccomp::CASES,
    limits::CASES,
    odd::CASES,
    credentials::CASES,
];
