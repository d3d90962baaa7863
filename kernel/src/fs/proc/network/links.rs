//! dev, route, arp.

use super::{end_line, number};
use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::net::ip::RouteKind;
use crate::net::link::neighbour::State;
use crate::net::ns::NetNs;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::net::Ipv4Addr;

/// Bytes of a line of /proc/net/route.
const ROUTE_WIDTH: usize = 128;
/// Flags of routes (route(8)).
const RTF_UP: u16 = 1;
const RTF_GATEWAY: u16 = 2;
const RTF_HOST: u16 = 4;
const RTF_REJECT: u16 = 0x200;
/// Flags of neighbours (arp(7)).
const ATF_COM: u32 = 2;
const ATF_PERM: u32 = 4;

/// /proc/net/dev.
pub fn show_dev(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(
        b"Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|\
        bytes    packets errs drop fifo colls carrier compressed\n",
    );
    for link in namespace.links() {
        let (received, sent) = (link.counters.received(), link.counters.sent());
        text.add(format_args!(
            "{:>6}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} ",
            link.name(),
            received.bytes,
            received.packets,
            received.errors,
            received.dropped,
            0,
            0,
            0,
            0
        ));
        text.add(format_args!(
            "{:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}\n",
            sent.bytes, sent.packets, sent.errors, sent.dropped, 0, 0, 0, 0
        ));
    }
    Ok(())
}

/// /proc/net/route.
pub fn show_route(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    let start = text.len();
    text.bytes(b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    end_line(text, start, ROUTE_WIDTH);
    for route in namespace.routes().iter().rev() {
        let name = namespace.link(route.link).map_or_else(|| String::from("*"), |link| link.name());
        let mut flags = RTF_UP;
        if route.gateway.is_some() {
            flags |= RTF_GATEWAY;
        }
        if route.destination.prefix_len() == 32 {
            flags |= RTF_HOST;
        }
        if matches!(route.kind, RouteKind::Unreachable | RouteKind::Prohibit) {
            flags |= RTF_REJECT;
        }
        let start = text.len();
        text.add(format_args!(
            "{name}\t{:08X}\t{:08X}\t{flags:04X}\t0\t0\t{}\t{:08X}\t{}\t0\t0",
            number(route.destination.address()),
            number(route.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED)),
            route.metric,
            number(route.destination.netmask()),
            route.mtu.unwrap_or(0),
        ));
        end_line(text, start, ROUTE_WIDTH);
    }
    Ok(())
}

/// /proc/net/arp.
pub fn show_arp(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(b"IP address       HW type     Flags       HW address            Mask     Device\n");
    for link in namespace.links() {
        for entry in link.neighbours.entries() {
            let flags = match entry.state {
                State::Permanent => ATF_COM | ATF_PERM,
                State::Incomplete | State::Failed => 0,
                _ => ATF_COM,
            };
            text.add(format_args!(
                "{:<16} 0x{:<10x}0x{flags:<10x}{:<17}     *        {}\n",
                format!("{}", entry.address),
                link.hardware_type(),
                format!("{}", entry.mac).to_lowercase().replace('-', ":"),
                link.name(),
            ));
        }
    }
    Ok(())
}
