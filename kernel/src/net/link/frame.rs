//! Ethernet headers.

use crate::error::Result;
use crate::net::packet::Packet;
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame, EthernetProtocol};

/// Their length.
pub const HEADER_LEN: usize = ETHERNET_HEADER_LEN;

/// A header, read.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// To whom.
    pub destination: EthernetAddress,
    /// From whom.
    pub source: EthernetAddress,
    /// What is inside.
    pub protocol: EthernetProtocol,
}

/// The header at the front of the window; `None` if it is too short.
pub fn header(packet: &Packet) -> Option<Header> {
    let frame = EthernetFrame::new_checked(packet.bytes()).ok()?;
    Some(Header { destination: frame.dst_addr(), source: frame.src_addr(), protocol: frame.ethertype() })
}

/// Puts a header in front of the window.
///
/// # Errors
/// ENOBUFS.
pub fn push_header(
    packet: &mut Packet,
    source: EthernetAddress,
    destination: EthernetAddress,
    protocol: EthernetProtocol,
) -> Result<()> {
    let mut frame = EthernetFrame::new_unchecked(packet.push(HEADER_LEN)?);
    frame.set_src_addr(source);
    frame.set_dst_addr(destination);
    frame.set_ethertype(protocol);
    Ok(())
}
