//! Calls that make channels between processes.

pub mod pipe;
