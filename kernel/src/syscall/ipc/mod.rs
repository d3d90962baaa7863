//! Calls that make channels and shared memory between processes.

pub mod memfd;
pub mod mq;
pub mod msg;
pub mod pipe;
pub mod sem;
pub mod shm;
