//! Address translation with connection tracking (RFC 3022; behaviour after RFC 4787, RFC 5382 and RFC 5508), as pure logic over packets'
//! bytes.
//!
//! [`Table`] holds rules and flows. A packet meets it twice: [`Table::arrive`] before it is routed, which may change where it goes, and
//! [`Table::depart`] before it leaves, which may change where it comes from. Only what is translated is tracked; everything else passes
//! without a trace. [`Rule`]s have a text form, one a line.
//!
//! Written here because there is no crate for it that needs neither a heap of its own kind nor an operating system.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod flow;
mod rewrite;
mod rule;
mod table;
#[cfg(test)]
mod tests;
mod tuple;

pub use rewrite::{Sum, Translation};
pub use rule::{BadRule, Rule};
pub use table::{Arrival, Departure, Exit, Surroundings, Table};
pub use tuple::{Endpoint, Protocol, Tuple};
