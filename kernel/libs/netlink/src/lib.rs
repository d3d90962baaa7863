//! Netlink on the wire (RFC 3549, netlink(7)): what a program sends, taken apart with every length checked, and what it is
//! answered, put together. No sockets here, and no network: the kernel gives both.
//!
//! Written by hand: the crates that know netlink are made for programs, over `std`, and decode what a kernel says, not what it is asked.
//!
//! [`message`] and [`attribute`] read, [`writer`] writes, [`rtnetlink`] is what rtnetlink(7) says.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attribute;
pub mod message;
pub mod rtnetlink;
pub mod writer;

pub use attribute::{Attribute, Attributes};
pub use message::{Message, messages};
pub use writer::{Body, Writer};

/// Why a message is refused, in words for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense (EINVAL).
    Invalid(&'static str),
    /// The value of an attribute is too short or too long (ERANGE).
    Range(&'static str),
}

/// What may go wrong in reading.
pub type Result<T> = core::result::Result<T, Refusal>;

/// Everything begins at multiples of this.
pub const ALIGNMENT: usize = 4;

#[cfg(test)]
mod tests;
