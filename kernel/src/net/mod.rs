//! The network: namespaces ([`ns`]), links ([`link`]), IPv4 ([`ip`]); sockets (socket(7)): what all families share ([`socket`]), and the
//! families.
//!
//! A family is a folder with types that are [`Socket`]s, and an arm in [`create`]. Start reading at [`ns`].

pub mod event;
pub mod inet;
pub mod ioctl;
#[expect(dead_code, reason = "sockets and rtnetlink come on top")]
pub mod ip;
#[expect(dead_code, reason = "sockets and rtnetlink come on top")]
pub mod link;
pub mod message;
pub mod nat;
pub mod netlink;
pub mod ns;
pub mod options;
#[expect(dead_code, reason = "sockets and rtnetlink come on top")]
pub mod packet;
pub mod packet_socket;
pub mod report;
pub mod settings;
pub mod socket;
pub mod unix;

mod backlog;
mod teardown;
mod timers;

pub use message::{Incoming, Outgoing, Source};
pub use options::Options;
pub use socket::{Kind, Shutdown, Socket};

use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_abi_types::inet::AF_INET;
use coffer_abi_types::net::AF_UNIX;
use coffer_abi_types::packet::AF_PACKET;

/// Starts the network. Part of boot.
///
/// # Errors
/// ENOMEM.
pub fn init() -> Result<()> {
    backlog::start()
}

/// A new socket of a family (AF_*).
///
/// # Errors
/// As socket(2).
pub fn create(family: u32, kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    match u16::try_from(family) {
        Ok(AF_UNIX) => unix::create(kind, protocol),
        Ok(AF_INET) => inet::create(kind, protocol),
        Ok(netlink::AF_NETLINK) => netlink::create(kind, protocol),
        Ok(AF_PACKET) => packet_socket::create(kind, protocol),
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
        Ok(AF_INET | AF_PACKET | netlink::AF_NETLINK) => Err(Errno::EOPNOTSUPP.into()),
        _ => Err(Errno::EAFNOSUPPORT.into()),
    }
}
