//! Sockets (socket(7)): what all families share ([`socket`]), and the families.
//!
//! A family is a folder with types that are [`Socket`]s, and an arm in [`create`].

pub mod message;
pub mod options;
pub mod report;
pub mod socket;
pub mod unix;

pub use message::{Incoming, Outgoing, Source};
pub use options::Options;
pub use socket::{Kind, Shutdown, Socket};

use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_abi_types::net::AF_UNIX;

/// A new socket of a family (AF_*).
///
/// # Errors
/// As socket(2).
pub fn create(family: u32, kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    match u16::try_from(family) {
        Ok(AF_UNIX) => unix::create(kind, protocol),
        _ => Err(Errno::EAFNOSUPPORT.into()),
    }
}

/// Two sockets that are connected.
///
/// # Errors
/// As socketpair(2).
pub fn create_pair(family: u32, kind: u32, protocol: u32) -> Result<(Arc<dyn Socket>, Arc<dyn Socket>)> {
    match u16::try_from(family) {
        Ok(AF_UNIX) => unix::create_pair(kind, protocol),
        _ => Err(Errno::EAFNOSUPPORT.into()),
    }
}
