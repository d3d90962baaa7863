//! x86-64.

pub(crate) mod boot;
pub(crate) mod mm;
pub(crate) mod serial;
