//! Forwarding (RFC 1812, 5.2), where ip_forward is on.

use super::icmp::{self, Trouble};
use super::output;
use super::route::{Hints, RouteKind};
use crate::error::Errno;
use crate::net::nat;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use smoltcp::wire::Icmpv4DstUnreachable;

/// Passes on a packet that is not for this machine; its window starts at a good IP header.
pub fn forward(namespace: &Arc<NetNs>, mut packet: Packet) {
    let Some(link) = packet.link.clone() else { return };
    let (source, destination, ttl) = {
        let ip = packet.ip();
        (ip.src_addr(), ip.dst_addr(), ip.hop_limit())
    };
    let may_pass = namespace.settings.ip_forward.load(Ordering::Relaxed)
        && packet.is_for_one
        && !source.is_unspecified()
        && !destination.is_unspecified()
        && !destination.is_loopback()
        && !destination.is_multicast()
        // 240/4 (RFC 1112, 4), with the limited broadcast in it.
        && destination.octets()[0] < 240;
    if !may_pass {
        link.counters.drop_received();
        return;
    }
    if ttl <= 1 {
        icmp::send_error(namespace, &packet, Trouble::HopLimit);
        return;
    }
    let route = match namespace.route(destination, &Hints::default()) {
        Ok(route) if route.kind == RouteKind::Unicast => route,
        Ok(_) => return,
        Err(error) => {
            let code = match error.errno() {
                Errno::EINVAL => return,
                Errno::EACCES => Icmpv4DstUnreachable::CommProhibited,
                Errno::EHOSTUNREACH => Icmpv4DstUnreachable::HostUnreachable,
                _ => Icmpv4DstUnreachable::NetUnreachable,
            };
            icmp::send_error(namespace, &packet, Trouble::Unreachable(code));
            return;
        }
    };
    if !nat::may_pass(namespace, &link, &route.link) {
        link.counters.drop_received();
        return;
    }
    if output::is_too_long(&packet, route.mtu) && packet.ip().dont_frag() {
        let mtu = u16::try_from(route.mtu).unwrap_or(u16::MAX);
        icmp::send_error(namespace, &packet, Trouble::TooLong(mtu));
        return;
    }
    let mut ip = packet.ip_mut();
    ip.set_hop_limit(ttl - 1);
    ip.fill_checksum();
    output::leave(namespace, &route, packet);
}
