//! TCP segments put together as they come in, before anybody looks at them: a bulk transfer costs a fraction for each segment then. What
//! may be joined, `coffer_segments` knows; whoever sends it on takes it apart again ([`super::segment`]).

use super::frame;
use crate::net::packet::{Checksum, Packet, Segmentation};
use alloc::vec::Vec;
use coffer_segments::{Flow, Segment, Train};
use smoltcp::wire::EthernetProtocol;

/// Flows that are put together at the same time.
const FLOWS: usize = 8;

/// Packets of one turn of a device. They must be [`Merge::flush`]ed before it sleeps.
#[derive(Debug, Default)]
pub struct Merge {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    flow: Flow,
    train: Train,
    packet: Packet,
}

impl Merge {
    /// Keeps a frame for what may follow it, or hands it on; the frames of a flow stay in order.
    pub fn take(&mut self, packet: Packet, receive: &mut dyn FnMut(Packet)) {
        let Some(segment) = segment(&packet) else { return receive(packet) };
        let index = self.held.iter().position(|held| held.flow == segment.flow);
        let mut packet = packet;
        let can_join = packet.segmentation.is_none() && has_good_checksum(&mut packet);
        if let Some(index) = index {
            if can_join && self.held[index].join(&segment, &packet) {
                return;
            }
            self.held.swap_remove(index).finish(receive);
        }
        let train = Train::start(&segment).filter(|_| can_join && self.held.try_reserve(1).is_ok());
        match train {
            Some(train) => {
                if self.held.len() == FLOWS {
                    self.held.remove(0).finish(receive);
                }
                self.held.push(Held { flow: segment.flow, train, packet });
            }
            None => receive(packet),
        }
    }

    /// Hands on all that was kept.
    pub fn flush(&mut self, receive: &mut dyn FnMut(Packet)) {
        for held in self.held.drain(..) {
            held.finish(receive);
        }
    }
}

impl Held {
    /// Appends the payload of the flow's next segment; whether it was that, and there was memory.
    fn join(&mut self, segment: &Segment, packet: &Packet) -> bool {
        let (Some((own_frame, train)), Some((frame, next))) = (split(&self.packet), split(packet)) else {
            return false;
        };
        let has_joined = own_frame == frame
            && self.train.takes(train, segment, next)
            && self.packet.append(next.get(segment.headers_len..).unwrap_or_default()).is_ok();
        if has_joined {
            self.train.add(segment);
        }
        has_joined
    }

    fn finish(mut self, receive: &mut dyn FnMut(Packet)) {
        if let Some(size) = self.train.segment_size() {
            if self.packet.pull(frame::HEADER_LEN).is_none() {
                return;
            }
            self.train.write_headers(self.packet.bytes_mut());
            self.packet.defer_checksum();
            self.packet.segmentation = Some(Segmentation { size });
            // It was pulled off a moment ago, so there is room for it.
            if self.packet.push(frame::HEADER_LEN).is_err() {
                return;
            }
        }
        receive(self.packet);
    }
}

/// The TCP segment in a frame.
fn segment(packet: &Packet) -> Option<Segment> {
    let header = frame::header(packet)?;
    let (_, bytes) = split(packet)?;
    (header.protocol == EthernetProtocol::Ipv4).then(|| Segment::parse(bytes)).flatten()
}

/// Whether the TCP checksum is right, which is not looked at again then.
fn has_good_checksum(packet: &mut Packet) -> bool {
    if packet.checksum == Checksum::InPacket {
        let is_good = packet.pull(frame::HEADER_LEN).is_some() && packet.has_good_checksum();
        // It was pulled off a moment ago, so there is room for it.
        if packet.push(frame::HEADER_LEN).is_err() || !is_good {
            return false;
        }
        packet.checksum = Checksum::Verified;
    }
    true
}

/// The Ethernet header, and the IP packet after it.
fn split(packet: &Packet) -> Option<(&[u8], &[u8])> {
    packet.bytes().split_at_checked(frame::HEADER_LEN)
}
