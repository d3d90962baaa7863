//! What this machine sends: an IP header, then out by the route's link.

use super::DEFAULT_TTL;
use super::route::Route;
use crate::error::{Errno, Error, Result};
use crate::net::nat;
use crate::net::ns::NetNs;
use crate::net::packet::{MAX_LEN, Packet};
use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU16, Ordering};
use ostd::sync::Lazy;
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
        ip.set_ident(next_ident(self.destination));
        ip.set_dont_frag(self.dont_fragment);
        ip.set_hop_limit(self.ttl);
        ip.set_next_header(self.protocol);
        ip.set_src_addr(self.source);
        ip.set_dst_addr(self.destination);
        ip.fill_checksum();
        Ok(())
    }
}

/// An identification: unique among the datagrams between two hosts that may be on their way at once, as far as 16 bits go (RFC 6864). What has
/// been sent to others cannot be counted by it: each destination has one of many counters, and which one is a secret (RFC 7739).
fn next_ident(destination: Ipv4Addr) -> u16 {
    const COUNTERS: usize = 256;
    static NEXT: [AtomicU16; COUNTERS] = [const { AtomicU16::new(0) }; COUNTERS];
    static SECRET: Lazy<[u64; 2]> = Lazy::new(|| {
        let mut bytes = [0; 16];
        crate::random::fill(&mut bytes);
        let both = u128::from_ne_bytes(bytes);
        [both as u64, (both >> 64) as u64]
    });
    let [key, start] = *SECRET;
    let mixed = u128::from(u64::from(destination.to_bits()) ^ key) * u128::from(start | 1);
    let hash = (mixed >> 64) as u64 ^ mixed as u64;
    let counter = &NEXT[hash as usize % COUNTERS];
    counter.fetch_add(1, Ordering::Relaxed).wrapping_add((hash >> 32) as u16)
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
    pub fn send_ip(self: &Arc<Self>, route: &Route, mut packet: Packet) -> Result<()> {
        let other = nat::output(self, &mut packet)?;
        let route = other.as_ref().unwrap_or(route);
        if !route.link.is_up() {
            return Err(Errno::ENETDOWN.into());
        }
        if packet.len() > MAX_LEN || packet.ip().dont_frag() && is_too_long(&packet, route.mtu) {
            return Err(Error::with(Errno::EMSGSIZE, "longer than the route's MTU"));
        }
        leave(self, route, packet);
        Ok(())
    }
}

/// Whether a packet is longer than `mtu`; one that is to be segmented, whether its segments are.
pub fn is_too_long(packet: &Packet, mtu: u32) -> bool {
    match packet.segmentation {
        // The headers take at most 60 bytes each, but a sender counted them when it chose the size.
        Some(segmentation) => u32::from(segmentation.size) + 40 > mtu,
        None => packet.len() > mtu as usize,
    }
}

/// The last step of what this machine sends or forwards: cuts what is too long, and hands it to the link, its source translated.
pub fn leave(namespace: &Arc<NetNs>, route: &Route, mut packet: Packet) {
    if !nat::depart(namespace, route, &mut packet) {
        route.link.counters.drop_sent();
        return;
    }
    if is_too_long(&packet, route.mtu) {
        fragment(packet, route.mtu as usize, &mut |part| route.link.send_ip(part, route.next_hop()));
    } else {
        route.link.send_ip(packet, route.next_hop());
    }
}

/// Cuts a packet into fragments of at most `mtu` bytes (RFC 791, 3.2).
fn fragment(mut packet: Packet, mtu: usize, send: &mut dyn FnMut(Packet)) {
    packet.complete_checksum();
    let ip = packet.ip();
    let header_len = usize::from(ip.header_len());
    let (offset, had_more) = (usize::from(ip.frag_offset()), ip.more_frags());
    let (header, payload) = packet.bytes().split_at(header_len);
    // Offsets count in eights.
    let room = mtu.saturating_sub(header_len) / 8 * 8;
    if room == 0 {
        return;
    }
    let count = payload.len().div_ceil(room);
    for (index, chunk) in payload.chunks(room).enumerate() {
        // What there is no memory for is lost, as on a wire.
        let Ok(mut part) = Packet::copy_of(header) else { return };
        if part.append(chunk).is_err() {
            return;
        }
        let (total_len, at) = (part.len() as u16, (offset + index * room) as u16);
        let mut ip = part.ip_mut();
        ip.set_total_len(total_len);
        ip.set_more_frags(had_more || index + 1 < count);
        ip.set_frag_offset(at);
        ip.fill_checksum();
        part.link.clone_from(&packet.link);
        send(part);
    }
}
