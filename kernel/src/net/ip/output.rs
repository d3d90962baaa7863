//! What this machine sends: an IP header, then out by the route's link.

use super::DEFAULT_TTL;
use super::route::Route;
use crate::error::{Errno, Error, Result};
use crate::net::ns::NetNs;
use crate::net::packet::{MAX_LEN, Packet};
use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU16, Ordering};
use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol};

/// The parts of an IP header that a sender chooses.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// From.
    pub source: Ipv4Addr,
    /// To.
    pub destination: Ipv4Addr,
    /// What is inside.
    pub protocol: IpProtocol,
    /// IP_TTL.
    pub ttl: u8,
    /// IP_TOS.
    pub tos: u8,
    /// Whether it may not be cut (IP_MTU_DISCOVER).
    pub dont_fragment: bool,
}

impl Header {
    /// A header along `route`.
    pub fn new(route: &Route, protocol: IpProtocol) -> Self {
        Self {
            source: route.source,
            destination: route.destination,
            protocol,
            ttl: DEFAULT_TTL,
            tos: 0,
            dont_fragment: false,
        }
    }

    /// Puts the header in front of what is in the window.
    ///
    /// # Errors
    /// EMSGSIZE if that makes it longer than an IP packet can be; ENOBUFS.
    pub fn push_onto(&self, packet: &mut Packet) -> Result<()> {
        let len = packet.len() + IPV4_HEADER_LEN;
        let total_len = u16::try_from(len).map_err(|_| Errno::EMSGSIZE)?;
        packet.push(IPV4_HEADER_LEN)?.fill(0);
        let mut ip = packet.ip_mut();
        ip.set_version(4);
        ip.set_header_len(IPV4_HEADER_LEN as u8);
        ip.set_dscp(self.tos >> 2);
        ip.set_ecn(self.tos & 3);
        ip.set_total_len(total_len);
        ip.set_ident(next_ident());
        ip.set_dont_frag(self.dont_fragment);
        ip.set_hop_limit(self.ttl);
        ip.set_next_header(self.protocol);
        ip.set_src_addr(self.source);
        ip.set_dst_addr(self.destination);
        ip.fill_checksum();
        Ok(())
    }
}

/// Identifications of datagrams: unique among those that may be on their way at once, as far as 16 bits go (RFC 6864).
fn next_ident() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl NetNs {
    /// Sends `packet`, the payload of an IP packet, along `route`. What is too long is cut, or EMSGSIZE if that is not allowed.
    ///
    /// # Errors
    /// EMSGSIZE, ENOBUFS, ENETDOWN. That it could not be sent later on, nobody learns.
    pub fn send(self: &Arc<Self>, route: &Route, header: &Header, mut packet: Packet) -> Result<()> {
        header.push_onto(&mut packet)?;
        self.send_ip(route, packet)
    }

    /// Sends `packet`, whose window starts at a good IP header, along `route`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_ip(self: &Arc<Self>, route: &Route, packet: Packet) -> Result<()> {
        if !route.link.is_up() {
            return Err(Errno::ENETDOWN.into());
        }
        if packet.len() > MAX_LEN || packet.segmentation.is_none() && packet.len() > route.mtu as usize {
            return Err(Error::with(Errno::EMSGSIZE, "longer than the route's MTU"));
        }
        route.link.send_ip(packet, route.next_hop());
        Ok(())
    }
}
