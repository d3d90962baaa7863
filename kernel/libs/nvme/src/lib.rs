//! NVM Express as a driver sees it (Base Specification 2.0, NVM Command Set 1.0): registers and resets ([`Controller`]), commands
//! ([`Command`]), pairs of queues ([`QueuePair`]) and what a controller says of itself ([`identify`]).
//!
//! Everything here is over two small traits, [`Registers`] and [`Memory`], so that it runs against a simulated controller on the host. The
//! controller is the host's, so nothing that it says is believed (D6): its numbers are bounded before they are used, and a completion
//! that answers no command breaks its queue for good.
//!
//! Written by hand because the crates that there are own their memory and trust the device.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod command;
mod controller;
pub mod identify;
mod queue;

#[cfg(test)]
mod tests;

pub use command::{Command, Pages};
pub use controller::{Capabilities, Clock, Controller, Fault, PAGE, Registers};
pub use queue::{COMPLETION_LEN, Completion, Memory, QueueError, QueuePair, SUBMISSION_LEN};
