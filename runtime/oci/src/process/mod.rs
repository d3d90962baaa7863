//! The container's first process between its birth and the execution of its program.

pub mod child;
pub mod namespaces;
pub mod report;
mod steps;
