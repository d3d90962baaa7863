//! What tells flows apart: protocol, two addresses, two ports.

use core::net::Ipv4Addr;
use smoltcp::wire::{Icmpv4Message, IpProtocol, Ipv4Packet};

/// Protocols whose flows can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP echo and its answers; the identifier stands for both ports.
    Icmp,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub address: Ipv4Addr,
    /// The port.
    pub port: u16,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    /// Its protocol.
    pub protocol: Protocol,
    /// From where.
    pub source: Endpoint,
    /// Where to.
    pub destination: Endpoint,
}

impl Endpoint {
    /// An endpoint.
    pub const fn new(address: Ipv4Addr, port: u16) -> Self {
        Self { address, port }
    }
}

impl Tuple {
    /// The other direction, as long as nothing is translated.
    pub const fn reversed(self) -> Self {
        Self { protocol: self.protocol, source: self.destination, destination: self.source }
    }

    /// That of a packet, which may be cut after eight bytes of its transport header; `None` if its protocol has no flows.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let (ip, transport) = parts(packet)?;
        let ports = transport.first_chunk::<8>()?;
        let word = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
        let (protocol, source, destination) = match ip.next_header() {
            IpProtocol::Tcp => (Protocol::Tcp, word(0), word(2)),
            IpProtocol::Udp => (Protocol::Udp, word(0), word(2)),
            IpProtocol::Icmp if is_echo(ports[0]) => (Protocol::Icmp, word(4), word(4)),
            _ => return None,
        };
        Some(Self {
            protocol,
            source: Endpoint::new(ip.src_addr(), source),
            destination: Endpoint::new(ip.dst_addr(), destination),
        })
    }
}

/// Echo, its answer, and the two older pairs that have an identifier as well (RFC 792, RFC 950).
fn is_echo(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 13 | 14 | 17 | 18)
}

/// Whether an ICMP message quotes a packet.
pub(crate) fn is_error(kind: u8) -> bool {
    [Icmpv4Message::DstUnreachable, Icmpv4Message::TimeExceeded, Icmpv4Message::ParamProblem]
        .into_iter()
        .any(|error| u8::from(error) == kind)
}

/// The IP header's view and what comes after it, with the lengths checked; the packet may be cut.
pub(crate) fn parts(packet: &[u8]) -> Option<(Ipv4Packet<&[u8]>, &[u8])> {
    let first = *packet.first()?;
    let header_len = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header_len < 20 {
        return None;
    }
    let transport = packet.get(header_len..)?;
    let ip = Ipv4Packet::new_unchecked(packet);
    (ip.frag_offset() == 0).then_some((ip, transport))
}
