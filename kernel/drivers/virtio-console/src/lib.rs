//! virtio-console with several named ports (virtio 1.2, 5.3): byte streams between the host and a program.
//!
//! [`Console`] speaks the control protocol, in task context; a [`Port`] moves bytes. Written here because the virtio-drivers crate
//! knows the first port only and no interrupts.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod control;
mod port;

pub use control::{Console, settle_deadline_ns};
pub use port::{Port, PortError};
