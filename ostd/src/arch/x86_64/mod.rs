//! x86-64.

pub(crate) mod boot;
pub(crate) mod serial;
