//! Virtual memory as a program sees it.

use crate::case::Case;

mod advice;
mod brk;
mod exhaustion;
mod fault;
mod file;
mod map;
mod mapping;
mod remap;
mod scarcity;

pub use mapping::Mapping;

pub const CASES: &[&[Case]] = &[
    map::CASES,
    fault::CASES,
    file::CASES,
    remap::CASES,
    brk::CASES,
    advice::CASES,
    exhaustion::CASES,
    scarcity::CASES,
];
