//! Calls that make channels and shared memory between processes.

pub mod memfd;
pub mod pipe;
