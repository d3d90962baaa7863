//! What comes in by links: datagrams, and ICMP errors about those that were sent.

use super::endpoint::Datagram;
use super::tables::is_for_all;
use crate::net::inet::errors::{ErrorReport, meaning};
use crate::net::ip::protocol::IcmpError;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use ostd::timer::now_ns;
use smoltcp::wire::{Ipv4Packet, UDP_HEADER_LEN, UdpPacket};

/// Takes a UDP packet for this machine; it comes back if nobody has the port.
pub fn input(ns: &Arc<NetNs>, packet: Packet) -> Option<Packet> {
    if !packet.has_good_checksum() {
        return None;
    }
    let ip = packet.ip();
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    let (ttl, tos) = (ip.hop_limit(), ip.dscp() << 2 | ip.ecn());
    let udp = UdpPacket::new_checked(packet.transport()).ok()?;
    let from = SocketAddrV4::new(source, udp.src_port());
    let to = SocketAddrV4::new(destination, udp.dst_port());
    let link = packet.link.as_ref().map_or(0, |link| link.index());
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(udp.payload().len()).ok()?;
    bytes.extend_from_slice(udp.payload());
    let to_all = is_for_all(destination) || !ns.is_local(destination);
    let datagram = Datagram { bytes, from, to: destination, link, ttl, tos, time_ns: now_ns() };
    if ns.deliver_datagram(datagram, to, to_all) { None } else { Some(packet) }
}

/// Tells the sender of the datagram that the error is about.
pub fn on_icmp_error(ns: &Arc<NetNs>, error: &IcmpError<'_>) {
    let Ok(ip) = Ipv4Packet::new_checked(error.quoted).or_else(|_| {
        // Routers quote the beginning only.
        Ok::<_, ()>(Ipv4Packet::new_unchecked(error.quoted))
    }) else {
        return;
    };
    let Some(rest) = error.quoted.get(usize::from(ip.header_len())..) else { return };
    let Some(ports) = rest.first_chunk::<4>() else { return };
    let local = SocketAddrV4::new(ip.src_addr(), u16::from_be_bytes([ports[0], ports[1]]));
    let remote = SocketAddrV4::new(ip.dst_addr(), u16::from_be_bytes([ports[2], ports[3]]));
    let Some(endpoint) = ns.inet.udp.find_sender(local, remote) else { return };
    let Some((errno, is_hard)) = meaning(error) else { return };
    let wants_errors = endpoint.ip.lock().wants_errors;
    if wants_errors {
        let bytes = rest.get(UDP_HEADER_LEN..).unwrap_or_default();
        endpoint.errors.push(ErrorReport::of(error, errno, remote, bytes));
    }
    let is_connected = endpoint.inner.lock().peer.is_some();
    if wants_errors || is_connected && is_hard {
        endpoint.set_error(errno);
    }
}
