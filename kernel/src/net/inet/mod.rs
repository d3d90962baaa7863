//! Sockets of AF_INET (ip(7)): [`tcp`], [`udp`], [`raw`], and what they share: addresses, ports, options at IPPROTO_IP.
//!
//! [`Tables`] is what a network namespace keeps for them. What is for an address of the same namespace never becomes a packet: TCP's two ends
//! share their queues, and UDP puts datagrams into the receiver's queue.

pub mod address;
pub mod bind;
mod errors;
pub mod options;
pub mod port;
pub mod raw;
pub mod tcp;
pub mod udp;

use super::Socket;
use super::ns::NetNs;
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_abi_types::inet::{IPPROTO_ICMP, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP};
use coffer_abi_types::net::{SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

/// What a network namespace keeps.
#[derive(Debug, Default)]
pub struct Tables {
    /// TCP's.
    pub tcp: tcp::Tables,
    /// UDP's.
    pub udp: udp::Tables,
    /// Raw and ping sockets.
    pub raw: raw::Tables,
}

/// A new socket in the caller's network namespace.
///
/// # Errors
/// EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOMEM.
pub fn create(kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let ns = NetNs::current()?;
    match (kind, protocol) {
        (SOCK_STREAM, IPPROTO_IP | IPPROTO_TCP) => Ok(tcp::TcpSocket::new(ns)),
        (SOCK_DGRAM, IPPROTO_IP | IPPROTO_UDP) => Ok(udp::UdpSocket::new(ns)),
        (SOCK_DGRAM, IPPROTO_ICMP) => raw::create_ping(ns),
        (SOCK_RAW, _) => raw::create(ns, protocol),
        (SOCK_STREAM | SOCK_DGRAM, _) => Err(Errno::EPROTONOSUPPORT.into()),
        _ => Err(Errno::ESOCKTNOSUPPORT.into()),
    }
}
