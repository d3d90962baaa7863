//! What comes in by links: whose it is, and what nobody's gets.

use super::endpoint::Way;
use super::listener::{Admission, Origin};
use super::remote;
pub use super::tables::Tuple;
use crate::error::Errno;
use crate::net::inet::bind;
use crate::net::inet::errors::meaning;
use crate::net::ip::protocol::IcmpError;
use crate::net::ip::{Header, RouteKind};
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

/// ICMP's "destination unreachable: fragmentation needed".
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;

/// Takes a TCP packet for this machine.
pub fn input(ns: &Arc<NetNs>, packet: Packet) {
    let ip = packet.ip();
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    if destination.is_multicast() || destination.is_broadcast() || !packet.has_good_checksum() {
        return;
    }
    let Ok(header) = TcpPacket::new_checked(packet.transport()) else { return };
    let addresses = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
    let checksums = ChecksumCapabilities::ignored();
    let Ok(segment) = TcpRepr::parse(&header, &addresses.0, &addresses.1, &checksums) else { return };
    let tuple: Tuple =
        (SocketAddrV4::new(destination, segment.dst_port), SocketAddrV4::new(source, segment.src_port));
    let tables = &ns.inet.tcp;
    if let Some(endpoint) = tables.connection(&tuple) {
        let way = endpoint.inner.lock().way.clone();
        if let Way::Remote(remote) = way {
            remote.drive(Some(packet));
            return;
        }
    }
    let is_syn = segment.control == TcpControl::Syn && segment.ack_number.is_none();
    if !is_syn && tables.is_waiting(&tuple) {
        remind(ns, &tuple, &segment);
        return;
    }
    // Refused by who listens, or by nobody: both get the same answer.
    if is_syn {
        match knock(ns, &tuple, &packet) {
            Some(Door::Open(open)) => {
                tables.stop_waiting(&tuple);
                open(packet);
                return;
            }
            Some(Door::Full) => return,
            None => {}
        }
    }
    if segment.control != TcpControl::Rst {
        refuse(ns, &tuple, &segment);
    }
}

/// What a listener says to a SYN.
enum Door<F: FnOnce(Packet)> {
    Open(F),
    Full,
}

fn knock<'a>(
    ns: &'a Arc<NetNs>,
    tuple: &Tuple,
    packet: &Packet,
) -> Option<Door<impl FnOnce(Packet) + use<'a>>> {
    let link = packet.link.as_ref().map_or(0, |link| link.index());
    let listening = ns.inet.tcp.find_listener(tuple.0, link, tuple.1)?;
    let Way::Listening(listener) = listening.inner.lock().way.clone() else { return None };
    match listener.admit_remote() {
        Admission::Refused => return None,
        Admission::Later => return Some(Door::Full),
        Admission::Granted => {}
    }
    let bound_link = listening.ip.lock().link;
    let tuple = *tuple;
    Some(Door::Open(move |packet| {
        let route = bind::route(ns, *tuple.1.ip(), *tuple.0.ip(), bound_link);
        // Without memory or a way back it is as if the SYN had been lost.
        let answered = route.and_then(|route| remote::answer(&listening, &listener, tuple, route, packet));
        if answered.is_err() {
            let _ = listener.fill(Origin::Remote, None);
        }
    }))
}

/// RST, for what nobody waits for (RFC 9293, 3.10.7.1).
fn refuse(ns: &Arc<NetNs>, tuple: &Tuple, segment: &TcpRepr<'_>) {
    let ack_number = segment.ack_number.is_none().then(|| segment.seq_number + segment.segment_len());
    let seq_number = segment.ack_number.unwrap_or(TcpSeqNumber(0));
    reply(ns, tuple, TcpControl::Rst, seq_number, ack_number);
}

/// The peer has not heard that its last segment arrived: all there is to say follows from that segment (RFC 9293, TIME-WAIT).
fn remind(ns: &Arc<NetNs>, tuple: &Tuple, segment: &TcpRepr<'_>) {
    let is_worth_it = segment.control == TcpControl::Fin || !segment.payload.is_empty();
    let Some(seq_number) = segment.ack_number.filter(|_| is_worth_it) else { return };
    reply(ns, tuple, TcpControl::None, seq_number, Some(segment.seq_number + segment.segment_len()));
}

fn reply(
    ns: &Arc<NetNs>,
    tuple: &Tuple,
    control: TcpControl,
    seq_number: TcpSeqNumber,
    ack_number: Option<TcpSeqNumber>,
) {
    let (local, peer): (Ipv4Addr, Ipv4Addr) = (*tuple.0.ip(), *tuple.1.ip());
    let segment = TcpRepr {
        src_port: tuple.0.port(),
        dst_port: tuple.1.port(),
        control,
        seq_number,
        ack_number,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let Ok(mut packet) = Packet::zeroed(segment.buffer_len()) else { return };
    segment.emit(
        &mut TcpPacket::new_unchecked(packet.bytes_mut()),
        &IpAddress::Ipv4(local),
        &IpAddress::Ipv4(peer),
        &ChecksumCapabilities::ignored(),
    );
    let Ok(route) = bind::route(ns, peer, local, 0) else { return };
    let header = Header { source: local, destination: peer, ..Header::new(&route, IpProtocol::Tcp) };
    if route.kind == RouteKind::Unicast || route.is_local() {
        let _ = header.push_onto(&mut packet);
        packet.defer_checksum();
        let _ = ns.send_ip(&route, packet);
    }
}

/// Tells the connection that an ICMP error is about.
pub fn on_icmp_error(ns: &Arc<NetNs>, error: &IcmpError<'_>) {
    let ip = Ipv4Packet::new_unchecked(error.quoted);
    let Some(rest) = error.quoted.get(usize::from(ip.header_len())..) else { return };
    let Some(ports) = rest.first_chunk::<4>() else { return };
    let tuple = (
        SocketAddrV4::new(ip.src_addr(), u16::from_be_bytes([ports[0], ports[1]])),
        SocketAddrV4::new(ip.dst_addr(), u16::from_be_bytes([ports[2], ports[3]])),
    );
    let Some(endpoint) = ns.inet.tcp.connection(&tuple) else { return };
    let Way::Remote(remote) = endpoint.inner.lock().way.clone() else { return };
    match meaning(error) {
        Some((Errno::EMSGSIZE, _)) if (error.kind, error.code) == (UNREACHABLE, FRAGMENTATION_NEEDED) => {
            remote.shorten(usize::from(error.mtu));
        }
        Some((errno, _)) => remote.on_unreachable(errno),
        None => {}
    }
}
