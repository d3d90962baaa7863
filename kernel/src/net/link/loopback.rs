//! `lo`: what is sent comes in again, by the namespace's backlog.

use super::{Device, Link, flags, frame};
use crate::net::backlog;
use crate::net::packet::Packet;
use crate::net::packet_socket::{self, Sight};
use alloc::string::ToString;
use alloc::sync::Arc;
use smoltcp::wire::{EthernetAddress, EthernetProtocol};

/// Linux's, so that a page and its headers fit many times.
const MTU: u32 = 65536;

/// A namespace's loopback link, down.
pub fn new() -> Arc<Link> {
    Link::new(Device::Loopback, "lo".to_string(), flags::IFF_LOOPBACK, MTU, EthernetAddress([0; 6]))
}

pub(super) fn transmit(link: &Arc<Link>, mut packet: Packet) {
    let Some(namespace) = link.namespace() else { return };
    link.counters.send(packet.len());
    packet_socket::show(link, &packet, Sight::Leaving);
    packet.link = Some(link.clone());
    backlog::push(&namespace, packet);
}

/// Takes a frame of a packet socket's: what is in it, if that is IP.
pub(super) fn transmit_frame(link: &Arc<Link>, mut packet: Packet) {
    let is_ip = frame::header(&packet).is_some_and(|header| header.protocol == EthernetProtocol::Ipv4);
    if is_ip && packet.pull(frame::HEADER_LEN).is_some() {
        transmit(link, packet);
    } else {
        link.counters.drop_sent();
    }
}
