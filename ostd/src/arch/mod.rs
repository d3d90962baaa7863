//! The machine itself: x86-64.

mod x86_64;

pub(crate) use x86_64::*;
