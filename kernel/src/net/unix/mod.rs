//! Sockets between processes of one machine (unix(7)).
//!
//! An [`endpoint::Endpoint`] is what others see of a socket: its name, what has arrived for it, who waits. A [`UnixSocket`] owns one and knows its
//! peer; streams, sequences of packets and datagrams differ in [`connection`] and [`datagram`].

mod address;
mod connection;
mod datagram;
mod endpoint;
mod in_flight;
mod inbox;
mod names;
mod packet;
mod report;
mod rights;
mod socket;

pub use report::{Report, report};
pub use socket::UnixSocket;

use super::{Kind, Socket};
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_abi_types::net::{AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};

/// A new socket.
///
/// # Errors
/// EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOMEM.
pub fn create(kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    Ok(UnixSocket::new(checked_kind(kind, protocol)?))
}

/// Two that are connected.
///
/// # Errors
/// As [`create`].
pub fn create_pair(kind: u32, protocol: u32) -> Result<(Arc<dyn Socket>, Arc<dyn Socket>)> {
    let (first, second) = UnixSocket::new_pair(checked_kind(kind, protocol)?)?;
    Ok((first, second))
}

fn checked_kind(kind: u32, protocol: u32) -> Result<Kind> {
    if protocol != 0 && protocol != u32::from(AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT.into());
    }
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    match kind {
        SOCK_STREAM => Ok(Kind::Stream),
        // Raw means datagrams here, as it always has.
        SOCK_DGRAM | SOCK_RAW => Ok(Kind::Datagram),
        SOCK_SEQPACKET => Ok(Kind::SeqPacket),
        _ => Err(Errno::ESOCKTNOSUPPORT.into()),
    }
}
