//! send(2).

use super::{Flavour, RawSocket};
use crate::error::{Errno, Error, Result};
use crate::net::Socket;
use crate::net::inet::{address, bind};
use crate::net::ip::{Header, RouteKind};
use crate::net::message::{Outgoing, Source};
use crate::net::packet::{MAX_LEN, Packet};
use alloc::vec::Vec;
use coffer_abi_types::net::{MSG_OOB, SO_BROADCAST};
use core::net::Ipv4Addr;
use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Packet};

/// ICMP's echo request, and the bytes of its header.
const ECHO_REQUEST: u8 = 8;
const ECHO_HEADER_LEN: usize = 8;

/// Sends one message.
pub fn send(socket: &RawSocket, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize> {
    if message.flags & MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if let Some(error) = socket.take_error() {
        return Err(error.into());
    }
    let len = source.remaining();
    if len > MAX_LEN {
        return Err(Errno::EMSGSIZE.into());
    }
    let to = match message.to {
        Some(bytes) => *address::parse(bytes)?.ip(),
        None => socket.peer().ok_or(Errno::EDESTADDRREQ)?,
    };
    let (local, ip) = (socket.local(), socket.ip_options());
    let route = bind::route(socket.ns(), to, local, ip.link)?;
    if route.kind == RouteKind::Broadcast && !socket.is_broadcaster(SO_BROADCAST) {
        return Err(Errno::EACCES.into());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOBUFS)?;
    if source.append_to(&mut bytes, len)? < len {
        return Err(Errno::EFAULT.into());
    }
    if socket.has_own_headers() {
        complete_header(&mut bytes, route.source)?;
        socket.ns().send_ip(&route, Packet::copy_of(&bytes)?)?;
        return Ok(len);
    }
    let protocol = match socket.flavour() {
        Flavour::Raw(protocol) => IpProtocol::from(protocol),
        Flavour::Ping => {
            complete_echo(&mut bytes, socket.ensure_identifier()?)?;
            IpProtocol::Icmp
        }
    };
    let header = Header { ttl: ip.ttl_to(to), tos: ip.tos, ..Header::new(&route, protocol) };
    socket.ns().send(&route, &header, Packet::copy_of(&bytes)?)?;
    Ok(len)
}

/// Fills in what raw(7) says that the kernel does with IP_HDRINCL: length and checksum always, the source if it is zero.
fn complete_header(bytes: &mut [u8], source: Ipv4Addr) -> Result<()> {
    let total_len = u16::try_from(bytes.len()).map_err(|_| Errno::EMSGSIZE)?;
    let length_field =
        bytes.get_mut(2..4).ok_or(Error::with(Errno::EINVAL, "the packet is shorter than its header"))?;
    length_field.copy_from_slice(&total_len.to_be_bytes());
    let mut ip =
        Ipv4Packet::new_checked(bytes).map_err(|_| Error::with(Errno::EINVAL, "not an IP header"))?;
    if ip.version() != 4 || ip.header_len() < 20 {
        return Err(Error::with(Errno::EINVAL, "not an IP header"));
    }
    if ip.src_addr().is_unspecified() {
        ip.set_src_addr(source);
    }
    ip.fill_checksum();
    Ok(())
}

/// Whose echo request it is, of what comes after an IP header.
pub fn identifier_of(protocol: IpProtocol, rest: &[u8]) -> Option<u16> {
    let header = rest.get(..ECHO_HEADER_LEN).filter(|_| protocol == IpProtocol::Icmp)?;
    (header[..2] == [ECHO_REQUEST, 0]).then(|| Icmpv4Packet::new_unchecked(header).echo_ident())
}

/// An echo request gets the socket's identifier and its checksum; other messages are not for ping sockets.
fn complete_echo(bytes: &mut [u8], identifier: u16) -> Result<()> {
    if bytes.len() < ECHO_HEADER_LEN || bytes[..2] != [ECHO_REQUEST, 0] {
        return Err(Error::with(Errno::EINVAL, "ping sockets send echo requests only"));
    }
    let mut icmp = Icmpv4Packet::new_unchecked(bytes);
    icmp.set_echo_ident(identifier);
    icmp.fill_checksum();
    Ok(())
}
