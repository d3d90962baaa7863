//! SCSI as a disk driver needs it: commands ([`Command`]; SPC-4, SBC-3), what they answer ([`answer`]), and how a virtio transport carries them
//! ([`wire`]; virtio 1.2, 5.6.6). Pure; every length that a device names is checked.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
mod command;
pub mod wire;

#[cfg(test)]
mod tests;

pub use command::Command;
