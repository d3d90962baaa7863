//! Who takes what arrives for this machine: one arm for each protocol.
//!
//! All of it is called in task context with no lock held, so receivers may send at once.

use super::icmp;
use crate::net::inet;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use alloc::sync::Arc;
use smoltcp::wire::IpProtocol;

/// Why nobody took a packet, for the ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such protocol here.
    Protocol,
    /// Nobody listens at the port.
    Port,
}

/// Takes a whole packet for this machine; its window starts at the IP header, which is good.
///
/// # Errors
/// [`Refusal`], with the packet: the sender gets an ICMP error. (A TCP receiver answers with RST itself.)
pub fn deliver(namespace: &Arc<NetNs>, packet: Packet) -> Result<(), (Refusal, Packet)> {
    let is_raw = inet::raw::deliver(namespace, &packet);
    match packet.ip().next_header() {
        IpProtocol::Icmp => {
            icmp::input(namespace, &packet);
            Ok(())
        }
        IpProtocol::Udp => {
            inet::udp::input(namespace, packet).map_or(Ok(()), |packet| Err((Refusal::Port, packet)))
        }
        IpProtocol::Tcp => {
            inet::tcp::input(namespace, packet);
            Ok(())
        }
        // Whoever takes it raw may answer it.
        _ if is_raw => Ok(()),
        _ => Err((Refusal::Protocol, packet)),
    }
}

/// An ICMP error about a packet that this machine has sent.
#[derive(Debug)]
pub struct IcmpError<'a> {
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// For "fragmentation needed": the next hop's MTU (RFC 1191).
    pub mtu: u16,
    /// Who says so.
    pub from: core::net::Ipv4Addr,
    /// The IP header that was sent and at least eight bytes of what came after it, checked for length.
    pub quoted: &'a [u8],
}

/// Tells whoever sent the quoted packet.
pub fn report(namespace: &Arc<NetNs>, protocol: IpProtocol, error: &IcmpError<'_>) {
    inet::raw::on_icmp_error(namespace, error);
    match protocol {
        IpProtocol::Udp => inet::udp::on_icmp_error(namespace, error),
        IpProtocol::Tcp => inet::tcp::on_icmp_error(namespace, error),
        _ => log::trace!("{:?} of {protocol} in {:?}", error, namespace.id()),
    }
}
