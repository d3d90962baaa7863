//! What comes in: checked, then delivered or forwarded.

use super::icmp::{self, Trouble};
use super::protocol::{self, Refusal};
use super::{forward, reassembly};
use crate::net::link::Link;
use crate::net::nat;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use smoltcp::wire::{Icmpv4DstUnreachable, Ipv4Packet};

/// Takes a packet that came in by `link`; its window starts where the IP header ought to be.
pub fn receive(namespace: &Arc<NetNs>, link: &Arc<Link>, mut packet: Packet) {
    let Some(total_len) = check(&packet) else {
        link.counters.receive_error();
        return;
    };
    // Short frames are padded.
    packet.truncate(total_len);
    let (source, destination) = (packet.ip().src_addr(), packet.ip().dst_addr());
    let is_martian = source.is_multicast()
        || source.is_broadcast()
        || (source.is_loopback() || destination.is_loopback()) && !link.is_loopback()
        // Nobody else has an address of ours.
        || !link.is_loopback() && namespace.is_local(source)
        || has_source_route(&packet);
    if is_martian {
        link.counters.drop_received();
        return;
    }
    if namespace.nat.is_active() {
        // Ports are in the first fragment only.
        let Some(whole) = reassembly::complete(namespace, packet) else { return };
        packet = whole;
        nat::arrive(namespace, &mut packet);
    }
    if namespace.classify(packet.ip().dst_addr(), link).is_none() {
        forward::forward(namespace, packet);
    } else if let Some(mut packet) = reassembly::complete(namespace, packet)
        && nat::settle(namespace, &mut packet)
    {
        deliver(namespace, packet);
    }
}

/// The packet's length if its header is good (RFC 1122, 3.2.1.1).
fn check(packet: &Packet) -> Option<usize> {
    let ip = Ipv4Packet::new_checked(packet.bytes()).ok()?;
    let is_good = ip.version() == 4 && ip.verify_checksum();
    is_good.then(|| ip.total_len().into())
}

/// Whether the sender wants to say by which way it goes on: nobody does but to get where they should not (Linux's accept_source_route).
fn has_source_route(packet: &Packet) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE: u8 = 131;
    const STRICT: u8 = 137;
    let header_len = usize::from(packet.ip().header_len());
    let mut options = packet.bytes().get(20..header_len).unwrap_or_default();
    loop {
        options = match options {
            [] | [END, ..] => return false,
            [LOOSE | STRICT, ..] => return true,
            [NO_OPERATION, rest @ ..] => rest,
            // An option whose length makes no sense ends the list.
            [_, len, ..] => options.get(usize::from(*len).max(2)..).unwrap_or_default(),
            [_] => return false,
        };
    }
}

fn deliver(namespace: &Arc<NetNs>, packet: Packet) {
    if let Err((refusal, packet)) = protocol::deliver(namespace, packet) {
        let code = match refusal {
            Refusal::Protocol => Icmpv4DstUnreachable::ProtoUnreachable,
            Refusal::Port => Icmpv4DstUnreachable::PortUnreachable,
        };
        icmp::send_error(namespace, &packet, Trouble::Unreachable(code));
    }
}
