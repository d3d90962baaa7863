//! TCP segmentation in software, for devices that cannot: one long packet becomes several of the same headers.

use super::frame;
use crate::net::packet::Packet;
use smoltcp::wire::{IpProtocol, Ipv4Packet, TcpPacket};

/// How long the Ethernet, IP and TCP headers of a frame are together; `None`: it is no TCP frame.
pub fn headers_len(packet: &Packet) -> Option<usize> {
    let ip = Ipv4Packet::new_checked(packet.bytes().get(frame::HEADER_LEN..)?).ok()?;
    let transport = frame::HEADER_LEN + usize::from(ip.header_len());
    if ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(packet.bytes().get(transport..)?).ok()?;
    Some(transport + usize::from(tcp.header_len()))
}

/// Cuts a frame into segments with at most `size` bytes of payload each. Their checksums are deferred.
pub fn split(packet: &Packet, size: u16, send: &mut dyn FnMut(Packet)) {
    let Some(headers_len) = headers_len(packet) else { return };
    let (headers, payload) = packet.bytes().split_at(headers_len);
    let size = usize::from(size).max(1);
    let count = payload.len().div_ceil(size).max(1);
    for index in 0..count {
        let at = index * size;
        let chunk = payload.get(at..payload.len().min(at + size)).unwrap_or_default();
        // What there is no memory for is lost, as on a wire.
        let Ok(mut segment) = Packet::copy_of(headers) else { return };
        if segment.append(chunk).is_err() || segment.pull(frame::HEADER_LEN).is_none() {
            return;
        }
        let total_len = segment.len() as u16;
        let mut ip = segment.ip_mut();
        ip.set_total_len(total_len);
        let ident = ip.ident().wrapping_add(index as u16);
        ip.set_ident(ident);
        ip.fill_checksum();
        let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
        let sequence = tcp.seq_number() + at;
        tcp.set_seq_number(sequence);
        if index + 1 < count {
            tcp.set_fin(false);
            tcp.set_psh(false);
        }
        if index > 0 {
            tcp.set_cwr(false);
        }
        segment.defer_checksum();
        if segment.push(frame::HEADER_LEN).is_ok() {
            send(segment);
        }
    }
}
