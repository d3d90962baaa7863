//! `lo`: what is sent comes in again, by the namespace's backlog.

use super::{Device, Link, flags};
use crate::net::backlog;
use crate::net::packet::Packet;
use alloc::string::ToString;
use alloc::sync::Arc;
use smoltcp::wire::EthernetAddress;

/// Linux's, so that a page and its headers fit many times.
const MTU: u32 = 65536;

/// A namespace's loopback link, down.
pub fn new() -> Arc<Link> {
    Link::new(Device::Loopback, "lo".to_string(), flags::IFF_LOOPBACK, MTU, EthernetAddress([0; 6]))
}

pub(super) fn transmit(link: &Arc<Link>, mut packet: Packet) {
    let Some(namespace) = link.namespace() else { return };
    link.counters.send(packet.len());
    packet.link = Some(link.clone());
    backlog::push(&namespace, packet);
}
