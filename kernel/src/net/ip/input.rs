//! What comes in: checked, then delivered or forwarded.

use super::protocol;
use super::route::RouteKind;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use smoltcp::wire::Ipv4Packet;

/// Takes a packet that came in by `packet.link`; its window starts where the IP header ought to be.
pub fn receive(namespace: &Arc<NetNs>, mut packet: Packet) {
    let Some(link) = packet.link.clone() else { return };
    if !link.is_up() {
        link.counters.drop_received();
        return;
    }
    link.counters.receive(packet.len());
    let Some(total_len) = check(&packet) else {
        link.counters.receive_error();
        return;
    };
    // Short frames are padded.
    packet.truncate(total_len);
    let (source, destination) = (packet.ip().src_addr(), packet.ip().dst_addr());
    let is_martian = source.is_multicast()
        || source.is_broadcast()
        || (source.is_loopback() || destination.is_loopback()) && !link.is_loopback();
    if is_martian {
        link.counters.drop_received();
        return;
    }
    match namespace.classify(destination, &link) {
        Some(RouteKind::Local | RouteKind::Broadcast | RouteKind::Multicast) => deliver(namespace, packet),
        _ => link.counters.drop_received(),
    }
}

/// The packet's length if its header is good (RFC 1122, 3.2.1.1).
fn check(packet: &Packet) -> Option<usize> {
    let ip = Ipv4Packet::new_checked(packet.bytes()).ok()?;
    let is_good = ip.version() == 4 && ip.verify_checksum();
    is_good.then(|| ip.total_len().into())
}

fn deliver(namespace: &Arc<NetNs>, packet: Packet) {
    // The refusal becomes an ICMP error.
    let _ = protocol::deliver(namespace, packet);
}
