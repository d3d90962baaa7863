//! ICMP (RFC 792, RFC 1122 3.2.2): echo, and errors both ways.

use super::output::Header;
use super::protocol::{self, IcmpError};
use super::route::Hints;
use crate::net::ns::NetNs;
use crate::net::packet::{Checksum, Packet};
use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::sync::atomic::Ordering;
use ostd::sync::SpinLock;
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet};

/// The longest error message, so that it gets through any network (RFC 1812, 4.3.2.3).
const MAX_ERROR_LEN: usize = 576;
/// Bytes of an error's header, and of an IP header without options.
const HEADER_LEN: usize = 8;
const IP_HEADER_LEN: usize = 20;

/// Errors to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Destination unreachable, with one of its codes.
    Unreachable(Icmpv4DstUnreachable),
    /// It may not be cut and is longer than this.
    TooLong(u16),
    /// Its time to live is over.
    HopLimit,
    /// Not all of its fragments came in time.
    Reassembly,
}

/// So many errors at once, and one more each millisecond (Linux's icmp_msgs_burst and icmp_msgs_per_sec).
const BURST: u32 = 50;
const REFILL_NS: u64 = 1_000_000;

/// Keeps errors from becoming a flood.
#[derive(Debug)]
pub struct RateLimit(SpinLock<(u32, u64)>);

impl Default for RateLimit {
    fn default() -> Self {
        Self(SpinLock::new((BURST, 0)))
    }
}

impl RateLimit {
    fn take(&self) -> bool {
        let mut state = self.0.lock();
        let (tokens, filled_ns) = &mut *state;
        let new = ostd::timer::now_ns().saturating_sub(*filled_ns) / REFILL_NS;
        if new > 0 {
            *tokens = BURST.min(tokens.saturating_add(u32::try_from(new).unwrap_or(BURST)));
            *filled_ns += new * REFILL_NS;
        }
        let has_one = *tokens > 0;
        *tokens -= u32::from(has_one);
        has_one
    }
}

/// Takes an ICMP packet for this machine.
pub fn input(namespace: &Arc<NetNs>, packet: &Packet) {
    let message = packet.transport();
    let Ok(icmp) = Icmpv4Packet::new_checked(message) else { return };
    if packet.checksum == Checksum::InPacket && coffer_checksum::sum(message) != u16::MAX {
        return;
    }
    match icmp.msg_type() {
        Icmpv4Message::EchoRequest => answer_echo(namespace, packet),
        Icmpv4Message::DstUnreachable | Icmpv4Message::TimeExceeded | Icmpv4Message::ParamProblem => {
            take_error(namespace, packet.ip().src_addr(), message);
        }
        _ => {}
    }
}

fn answer_echo(namespace: &Arc<NetNs>, packet: &Packet) {
    let ip = packet.ip();
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    // Not to everybody's: that would be an amplifier (RFC 1122, 3.2.2.6; Linux's icmp_echo_ignore_broadcasts).
    if namespace.settings.echo_ignore_all.load(Ordering::Relaxed) || !namespace.is_local(destination) {
        return;
    }
    let Ok(mut answer) = Packet::copy_of(packet.transport()) else { return };
    let mut icmp = Icmpv4Packet::new_unchecked(answer.bytes_mut());
    icmp.set_msg_type(Icmpv4Message::EchoReply);
    icmp.set_checksum(0);
    let sum = !coffer_checksum::sum(answer.bytes());
    Icmpv4Packet::new_unchecked(answer.bytes_mut()).set_checksum(sum);
    let hints = Hints { source: Some(destination), ..Hints::default() };
    let Ok(route) = namespace.route(source, &hints) else { return };
    let header = Header { tos: ip.dscp() << 2, ..Header::new(&route, IpProtocol::Icmp) };
    // There is nobody to tell that it could not be sent.
    let _ = namespace.send(&route, &header, answer);
}

/// Takes an error about a packet of ours.
fn take_error(namespace: &Arc<NetNs>, from: Ipv4Addr, message: &[u8]) {
    let (Some(&[kind, code, ..]), Some(quoted)) =
        (message.first_chunk::<HEADER_LEN>(), message.get(HEADER_LEN..))
    else {
        return;
    };
    let mtu = u16::from_be_bytes([message[6], message[7]]);
    let Some(ip) = quoted_header(quoted) else { return };
    if !namespace.is_local(ip.src_addr()) {
        return;
    }
    let unreachable = u8::from(Icmpv4Message::DstUnreachable);
    if (kind, code) == (unreachable, Icmpv4DstUnreachable::FragRequired.into()) {
        namespace.note_path_mtu(ip.dst_addr(), mtu, ip.total_len());
    }
    let protocol = ip.next_header();
    protocol::report(namespace, protocol, &IcmpError { kind, code, mtu, from, quoted });
}

/// The header of a packet that was quoted, which may be cut after it; at least eight more bytes are there.
pub fn quoted_header(quoted: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    let first = *quoted.first()?;
    let header_len = usize::from(first & 0xf) * 4;
    let is_good = first >> 4 == 4 && header_len >= IP_HEADER_LEN && quoted.len() >= header_len + 8;
    is_good.then(|| Ipv4Packet::new_unchecked(quoted))
}

/// Tells the sender of `packet`, whose window starts at its IP header, what became of it.
pub fn send_error(namespace: &Arc<NetNs>, packet: &Packet, trouble: Trouble) {
    let ip = packet.ip();
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    // RFC 1122, 3.2.2: never about an error, a later fragment, or what was for many.
    let is_error =
        ip.next_header() == IpProtocol::Icmp && !matches!(packet.transport().first(), Some(0 | 8 | 13..=18));
    let may_be_told = !is_error
        && ip.frag_offset() == 0
        && !destination.is_multicast()
        && !destination.is_broadcast()
        && !source.is_unspecified()
        && !source.is_multicast()
        && !source.is_broadcast()
        && (packet.is_for_one || packet.link.as_ref().is_none_or(|link| link.is_loopback()));
    if !may_be_told || !namespace.icmp_limit.take() {
        return;
    }
    let own = Some(destination).filter(|destination| namespace.is_local(*destination));
    let Ok(route) = namespace.route(source, &Hints { source: own, ..Hints::default() }) else { return };
    let quoted_len = packet.len().min(MAX_ERROR_LEN - IP_HEADER_LEN - HEADER_LEN);
    let quoted = packet.bytes().get(..quoted_len).unwrap_or_default();
    if let Ok(message) = error_message(trouble, quoted) {
        let header = Header { tos: 0xc0, ..Header::new(&route, IpProtocol::Icmp) };
        // There is nobody to tell that it could not be sent.
        let _ = namespace.send(&route, &header, message);
    }
}

fn error_message(trouble: Trouble, quoted: &[u8]) -> crate::error::Result<Packet> {
    let (kind, code, mtu) = trouble.numbers();
    let mut message = Packet::zeroed(HEADER_LEN)?;
    message.append(quoted)?;
    message.bytes_mut()[6..8].copy_from_slice(&mtu.to_be_bytes());
    let mut icmp = Icmpv4Packet::new_unchecked(message.bytes_mut());
    icmp.set_msg_type(kind);
    icmp.set_msg_code(code);
    icmp.fill_checksum();
    Ok(message)
}

impl Trouble {
    /// Type, code, and the MTU of those that have one.
    fn numbers(self) -> (Icmpv4Message, u8, u16) {
        match self {
            Self::Unreachable(code) => (Icmpv4Message::DstUnreachable, code.into(), 0),
            Self::TooLong(mtu) => {
                (Icmpv4Message::DstUnreachable, Icmpv4DstUnreachable::FragRequired.into(), mtu)
            }
            Self::HopLimit => (Icmpv4Message::TimeExceeded, 0, 0),
            Self::Reassembly => (Icmpv4Message::TimeExceeded, 1, 0),
        }
    }
}

/// Nobody answers at the next hop: whoever sent `packet` learns of it, a socket of ours at once.
pub fn host_unreachable(namespace: &Arc<NetNs>, packet: &Packet) {
    let trouble = Trouble::Unreachable(Icmpv4DstUnreachable::HostUnreachable);
    let (source, protocol) = (packet.ip().src_addr(), packet.ip().next_header());
    if packet.link.is_some() || !namespace.is_local(source) {
        send_error(namespace, packet, trouble);
    } else if quoted_header(packet.bytes()).is_some() {
        let (kind, code, mtu) = trouble.numbers();
        let error = IcmpError { kind: kind.into(), code, mtu, from: source, quoted: packet.bytes() };
        protocol::report(namespace, protocol, &error);
    }
}
