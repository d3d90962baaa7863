//! send(2).

use super::endpoint::{Datagram, Endpoint};
use crate::error::{Errno, Error, Result};
use crate::net::inet::errors::ErrorReport;
use crate::net::inet::{address, bind};
use crate::net::ip::{Header, Route, RouteKind};
use crate::net::message::{ControlMessage, Outgoing, Source};
use crate::net::options::int;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::inet::{
    AF_INET, IP_PKTINFO, IP_TOS, IP_TTL, IPPROTO_IP, SO_EE_ORIGIN_ICMP, in_pktinfo,
};
use coffer_abi_types::net::{AF_UNSPEC, MSG_MORE, MSG_OOB, SO_BROADCAST};
use core::net::{Ipv4Addr, SocketAddrV4};
use ostd::timer::now_ns;
use smoltcp::wire::{IpProtocol, UDP_HEADER_LEN, UdpPacket};
use zerocopy::FromBytes;

/// The longest payload (an IP packet's 65,535 bytes without its headers).
const PAYLOAD_MAX: usize = 65_507;
/// ICMP's "destination unreachable: port" (RFC 792).
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_PORT_UNREACHABLE: u8 = 3;
/// IP_PMTUDISC_DO and IP_PMTUDISC_PROBE: never cut into pieces.
const WHOLE: [u32; 2] = [2, 3];

/// How one datagram is sent.
struct Manner {
    source: Ipv4Addr,
    link: u32,
    ttl: u8,
    tos: u8,
    is_whole: bool,
}

/// Sends one datagram.
pub fn send(endpoint: &Arc<Endpoint>, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize> {
    // COMPAT: a datagram is not put together from several calls.
    if message.flags & (MSG_OOB | MSG_MORE) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let len = source.remaining();
    if len > PAYLOAD_MAX {
        return Err(Errno::EMSGSIZE.into());
    }
    let peer = endpoint.inner.lock().peer;
    let to = match message.to {
        Some(bytes) => target(bytes)?,
        None => peer.ok_or(Errno::EDESTADDRREQ)?,
    };
    if to.port() == 0 {
        return Err(Errno::EINVAL.into());
    }
    if endpoint.is_write_shut() {
        return Err(Errno::EPIPE.into());
    }
    if let Some(errno) = endpoint.take_error() {
        return Err(errno.into());
    }
    let manner = manner(endpoint, *to.ip(), &message.control)?;
    let route = route(endpoint, to, &manner, message.to.is_none())?;
    if route.kind == RouteKind::Broadcast && !endpoint.options.is_on(SO_BROADCAST) {
        return Err(Errno::EACCES.into());
    }
    endpoint.ensure_port()?;
    let from = SocketAddrV4::new(route.source, endpoint.inner.lock().local.port());
    let to = SocketAddrV4::new(route.destination, to.port());
    if route.link.is_loopback() && !endpoint.ns.translates_local(IpProtocol::Udp, to) {
        let bytes = read(source, len)?;
        deliver(endpoint, bytes, from, to, &route, &manner, peer);
        return Ok(len);
    }
    let packet = packet(source, len, from, to, &route, &manner)?;
    if route.kind == RouteKind::Multicast && endpoint.ip.lock().multicast_loops {
        let bytes = Vec::from(packet.transport().get(UDP_HEADER_LEN..).unwrap_or_default());
        deliver(endpoint, bytes, from, to, &route, &manner, peer);
    }
    endpoint.ns.send_ip(&route, packet)?;
    Ok(len)
}

/// AF_UNSPEC passes for AF_INET, as it always has.
fn target(bytes: &[u8]) -> Result<SocketAddrV4> {
    if address::family(bytes)? != AF_UNSPEC {
        return address::parse(bytes);
    }
    let mut bytes = Vec::from(bytes);
    bytes[..2].copy_from_slice(&AF_INET.to_ne_bytes());
    address::parse(&bytes)
}

/// What the options say, and the control messages, which go before them.
fn manner(endpoint: &Endpoint, to: Ipv4Addr, control: &[ControlMessage]) -> Result<Manner> {
    let ip = endpoint.ip.lock();
    let source = *endpoint.inner.lock().local.ip();
    let multicast = Some(ip.multicast_link).filter(|link| *link != 0 && to.is_multicast());
    let mut manner = Manner {
        source: if source.is_unspecified() && to.is_multicast() { ip.multicast_address } else { source },
        link: multicast.unwrap_or(ip.link),
        ttl: ip.ttl_to(to),
        tos: ip.tos,
        is_whole: WHOLE.contains(&ip.mtu_discovery),
    };
    drop(ip);
    for message in control.iter().filter(|message| message.level == IPPROTO_IP) {
        match message.kind.cast_unsigned() {
            IP_PKTINFO => {
                let info = in_pktinfo::read_from_bytes(&message.bytes).map_err(|_| Errno::EINVAL)?;
                if info.ipi_ifindex != 0 {
                    manner.link = info.ipi_ifindex;
                }
                if info.ipi_spec_dst != [0; 4] {
                    manner.source = info.ipi_spec_dst.into();
                }
            }
            IP_TTL => {
                let ttl = int(&message.bytes)?;
                manner.ttl = u8::try_from(ttl).ok().filter(|ttl| *ttl > 0).ok_or(Errno::EINVAL)?;
            }
            IP_TOS => match *message.bytes {
                [tos] => manner.tos = tos,
                ref bytes => manner.tos = int(bytes)? as u8,
            },
            _ => return Err(Errno::EINVAL.into()),
        }
    }
    Ok(manner)
}

/// The way to `to`; the one to the peer is remembered.
fn route(endpoint: &Endpoint, to: SocketAddrV4, manner: &Manner, is_peer: bool) -> Result<Route> {
    let generation = endpoint.ns.generation();
    if is_peer
        && let Some((of, route)) = &endpoint.inner.lock().route
        && *of == generation
    {
        return Ok(route.clone());
    }
    let route = bind::route(&endpoint.ns, *to.ip(), manner.source, manner.link)?;
    if is_peer {
        let old = endpoint.inner.lock().route.replace((generation, route.clone()));
        drop(old);
    }
    Ok(route)
}

fn read(source: &mut dyn Source, len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOBUFS))?;
    let taken = if len > 0 { source.append_to(&mut bytes, len)? } else { 0 };
    if taken < len { Err(Errno::EFAULT.into()) } else { Ok(bytes) }
}

/// Gives the datagram to a socket of the same namespace.
fn deliver(
    endpoint: &Endpoint,
    bytes: Vec<u8>,
    from: SocketAddrV4,
    to: SocketAddrV4,
    route: &Route,
    manner: &Manner,
    peer: Option<SocketAddrV4>,
) {
    let (link, ttl, tos) = (route.link.index(), manner.ttl, manner.tos);
    let datagram = Datagram { bytes, from, to: *to.ip(), link, ttl, tos, time_ns: now_ns() };
    let wants_errors = endpoint.ip.lock().wants_errors;
    let returned = wants_errors.then(|| datagram.bytes.clone());
    if endpoint.ns.deliver_datagram(datagram, to, route.kind != RouteKind::Local) {
        return;
    }
    // Nobody has the port: only a sender that is connected, or asks for it, is told (udp(7)).
    if let Some(bytes) = returned {
        endpoint.errors.push(ErrorReport {
            errno: Errno::ECONNREFUSED,
            origin: SO_EE_ORIGIN_ICMP,
            kind: ICMP_UNREACHABLE,
            code: ICMP_PORT_UNREACHABLE,
            info: 0,
            offender: *to.ip(),
            to,
            bytes,
        });
    }
    if wants_errors || peer.is_some() {
        endpoint.set_error(Errno::ECONNREFUSED);
    }
}

/// The datagram as an IP packet.
fn packet(
    source: &mut dyn Source,
    len: usize,
    from: SocketAddrV4,
    to: SocketAddrV4,
    route: &Route,
    manner: &Manner,
) -> Result<Packet> {
    let mut packet = Packet::with_capacity(len)?;
    packet.append(&read(source, len)?)?;
    let mut header = UdpPacket::new_unchecked(packet.push(UDP_HEADER_LEN)?);
    header.set_src_port(from.port());
    header.set_dst_port(to.port());
    header.set_len((len + UDP_HEADER_LEN) as u16);
    header.set_checksum(0);
    let ip = Header {
        source: *from.ip(),
        destination: *to.ip(),
        ttl: manner.ttl,
        tos: manner.tos,
        dont_fragment: manner.is_whole,
        ..Header::new(route, IpProtocol::Udp)
    };
    ip.push_onto(&mut packet)?;
    packet.defer_checksum();
    Ok(packet)
}
