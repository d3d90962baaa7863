//! A frame, as sockets are shown it.

use super::Sight;
use crate::net::link::{Link, frame};
use crate::net::packet::{Checksum, Packet};
use alloc::sync::Arc;
use coffer_abi_types::packet::{
    AF_PACKET, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, PACKET_OUTGOING,
    sockaddr_ll,
};
use smoltcp::wire::{EthernetAddress, EthernetProtocol};

/// Bytes of an Ethernet address.
pub const ADDRESS_LEN: u8 = 6;

/// A frame on its way by a link.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Where it is.
    pub sight: Sight,
    /// Its Ethernet header.
    pub header: [u8; frame::HEADER_LEN],
    /// What comes after that.
    pub payload: &'a [u8],
    /// Its EtherType.
    pub protocol: u16,
    /// By which link, and from whom.
    pub from: sockaddr_ll,
    /// Whether its transport's checksum is still to be put in.
    pub lacks_checksum: bool,
}

impl<'a> Frame<'a> {
    /// Reads the header; `None` if it is too short for one.
    pub fn of(link: &Arc<Link>, packet: &'a Packet, sight: Sight) -> Option<Self> {
        let none = EthernetAddress([0; 6]);
        let (header, payload, addresses) = if link.is_loopback() {
            // There is none on the way, and programs expect one: nobody's addresses.
            let mut header = [0; frame::HEADER_LEN];
            header[12..].copy_from_slice(&u16::from(EthernetProtocol::Ipv4).to_be_bytes());
            (header, packet.bytes(), (none, none))
        } else {
            let read = frame::header(packet)?;
            let (header, payload) = packet.bytes().split_first_chunk()?;
            (*header, payload, (read.source, read.destination))
        };
        let (source, destination) = addresses;
        let protocol = u16::from_be_bytes([header[12], header[13]]);
        let mut address = [0; 8];
        address[..6].copy_from_slice(&source.0);
        let from = sockaddr_ll {
            sll_family: AF_PACKET,
            sll_protocol: protocol.to_be_bytes(),
            sll_ifindex: link.index(),
            sll_hatype: link.hardware_type(),
            sll_pkttype: match sight {
                Sight::Leaving => PACKET_OUTGOING,
                _ if destination == link.mac() => PACKET_HOST,
                _ if destination.is_broadcast() => PACKET_BROADCAST,
                _ if destination.is_multicast() => PACKET_MULTICAST,
                _ => PACKET_OTHERHOST,
            },
            sll_halen: ADDRESS_LEN,
            sll_addr: address,
        };
        let lacks_checksum = matches!(packet.checksum, Checksum::Partial { .. });
        Some(Self { sight, header, payload, protocol, from, lacks_checksum })
    }
}
