//! The two queues that a connection's smoltcp interface takes for a network card.

use crate::net::packet::{Packet, Segmentation};
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use ostd::sync::SpinLock;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

/// The longest packet that is left to links to be cut into segments.
const UNCUT_MAX: usize = 32 * 1024;
/// Where packets go for which there is no memory: as if the network had lost them.
static NOWHERE: SpinLock<[u8; UNCUT_MAX]> = SpinLock::new([0; UNCUT_MAX]);

/// See the module.
#[derive(Debug)]
pub struct Queues {
    /// The packet that has come in.
    pub incoming: Option<Packet>,
    /// Packets to send.
    pub outgoing: Vec<Packet>,
    /// The longest packet that goes all the way.
    pub mtu: usize,
    /// IP_TOS.
    pub tos: u8,
}

/// A packet that has come in.
#[derive(Debug)]
pub struct Received(Packet);

/// The place for a packet to send.
#[derive(Debug)]
pub struct Place<'a> {
    queues: &'a mut Queues,
    segment: Option<u16>,
}

impl Device for Queues {
    type RxToken<'a> = Received;
    type TxToken<'a> = Place<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Place<'_>)> {
        let packet = self.incoming.take()?;
        Some((Received(packet), Place { queues: self, segment: None }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Place<'_>> {
        Some(Place { queues: self, segment: None })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // Looked at before a packet gets here, and left to the link after it.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::None;
        capabilities.segmentation.tcpv4 = NonZeroUsize::new(UNCUT_MAX);
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0.bytes())
    }
}

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let room = if ostd::mm::is_exhausted() { None } else { Packet::zeroed(len).ok() };
        let Some(mut packet) = room.filter(|_| self.queues.outgoing.try_reserve(1).is_ok()) else {
            return write(&mut NOWHERE.lock()[..len]);
        };
        let result = write(packet.bytes_mut());
        if self.queues.tos != 0 {
            let mut ip = packet.ip_mut();
            ip.set_dscp(self.queues.tos >> 2);
            ip.set_ecn(self.queues.tos & 3);
            ip.fill_checksum();
        }
        packet.defer_checksum();
        packet.segmentation = self.segment.map(|size| Segmentation { size });
        self.queues.outgoing.push(packet);
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size.map(core::num::NonZeroU16::get);
    }
}
