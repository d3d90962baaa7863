//! send(2).

use super::PacketSocket;
use crate::error::{Errno, Error, Result};
use crate::net::Kind;
use crate::net::link::{Link, flags, frame};
use crate::net::message::{Outgoing, Source};
use crate::net::packet::Packet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::MSG_OOB;
use coffer_abi_types::packet::sockaddr_ll;
use smoltcp::wire::{EthernetAddress, EthernetProtocol};
use zerocopy::FromBytes;

/// A VLAN tag, which a frame of the longest packet may have beside.
const TAG_LEN: usize = 4;

/// Sends one frame, given whole or, by a datagram socket, without its header.
pub fn send(socket: &PacketSocket, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize> {
    if message.flags & MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let bound = socket.binding();
    let to = message.to.map(address).transpose()?;
    let (index, protocol) = match &to {
        Some(to) => (to.sll_ifindex, u16::from_be_bytes(to.sll_protocol)),
        None => (bound.link, bound.protocol),
    };
    let link = socket.ns().link(index).ok_or(Errno::ENXIO)?;
    if !link.is_up() {
        return Err(Errno::ENETDOWN.into());
    }
    let len = source.remaining();
    let is_whole = socket.is_raw();
    let header_len = if is_whole { frame::HEADER_LEN } else { 0 };
    if len > (link.mtu() as usize).saturating_add(header_len + TAG_LEN * usize::from(is_whole)) {
        return Err(Errno::EMSGSIZE.into());
    }
    if len < header_len {
        return Err(Error::with(Errno::EINVAL, "the frame is shorter than its header"));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOBUFS)?;
    if source.append_to(&mut bytes, len)? < len {
        return Err(Errno::EFAULT.into());
    }
    let mut packet = Packet::copy_of(&bytes)?;
    packet.sender = socket.key();
    if !is_whole {
        let destination = station(&link, to.as_ref())?;
        frame::push_header(&mut packet, link.mac(), destination, EthernetProtocol::from(protocol))?;
    }
    link.send_frame(packet);
    Ok(len)
}

/// Whom a datagram is for; a link that asks for nobody's address does without.
fn station(link: &Arc<Link>, to: Option<&sockaddr_ll>) -> Result<EthernetAddress> {
    match to {
        Some(to) => {
            let [address @ .., _, _] = to.sll_addr;
            Ok(EthernetAddress(address))
        }
        None if link.flags() & (flags::IFF_LOOPBACK | flags::IFF_NOARP) != 0 => Ok(EthernetAddress([0; 6])),
        None => Err(Error::with(Errno::EINVAL, "no station is named")),
    }
}

/// A whole `sockaddr_ll`.
fn address(bytes: &[u8]) -> Result<sockaddr_ll> {
    Ok(sockaddr_ll::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?.0)
}

impl PacketSocket {
    fn is_raw(&self) -> bool {
        crate::net::Socket::kind(self) == Kind::Raw
    }
}
