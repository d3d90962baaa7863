//! A packet: bytes of its own with room in front for headers, and what of it is left to a device ([`Checksum`], [`Segmentation`]).
//!
//! Packets move; they are never shared. The window starts at the IP header inside of [`super::ip`], at the Ethernet header inside of
//! [`super::link`]: [`Packet::pull`] and [`Packet::push`] go from one to the other.

use super::link::Link;
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_nat::Tuple;
use core::net::Ipv4Addr;
use smoltcp::wire::{IpProtocol, Ipv4Packet, checksum};

/// Room in front of a new packet: for an Ethernet header, and an IP header with a TCP or UDP header after it.
pub const HEADROOM: usize = 14 + 20 + 20 + 10;
/// The longest IP packet.
pub const MAX_LEN: usize = u16::MAX as usize;

/// Who answers for the transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// It is in the packet; a receiver verifies it.
    #[default]
    InPacket,
    /// A device has verified it, or it never left this machine.
    Verified,
    /// The field at `field` holds the pseudo-header's sum; the sum from `start` to the end is still to be put there. Both count from
    /// the IP header. Receivers on this machine take it as [`Self::Verified`].
    Partial {
        /// Where the transport header starts.
        start: u16,
        /// Where the checksum's field is.
        field: u16,
    },
}

/// A TCP packet longer than the MTU, to be cut by whoever sends it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Payload bytes in each segment.
    pub size: u16,
}

/// Bytes on their way.
#[derive(Debug, Default)]
pub struct Packet {
    bytes: Vec<u8>,
    start: usize,
    /// Who answers for the transport checksum.
    pub checksum: Checksum,
    /// Whether it is to be cut into segments.
    pub segmentation: Option<Segmentation>,
    /// Whether the frame that it came in was for this machine alone.
    pub is_for_one: bool,
    /// The link that it came in by; `None` for one of our own.
    pub link: Option<Arc<Link>>,
    /// What address translation knows of it.
    pub tracking: Tracking,
    /// The packet socket that has sent it, which is not shown it; 0 for none.
    pub sender: usize,
}

/// Whether connection tracking has seen a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracking {
    /// Not yet.
    #[default]
    Unseen,
    /// It goes to a published port's target, and its flow is still to be made; this is how it arrived.
    Redirected(Tuple),
    /// Its addresses are final.
    Done,
}

impl Packet {
    /// An empty packet with [`HEADROOM`] and room for `capacity` bytes after it.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(HEADROOM + capacity).map_err(|_| Errno::ENOBUFS)?;
        bytes.resize(HEADROOM, 0);
        Ok(Self { bytes, start: HEADROOM, ..Self::default() })
    }

    /// A packet of `len` zeros with [`HEADROOM`].
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn zeroed(len: usize) -> Result<Self> {
        let mut packet = Self::with_capacity(len)?;
        packet.bytes.resize(HEADROOM + len, 0);
        Ok(packet)
    }

    /// A packet of these bytes with [`HEADROOM`].
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut packet = Self::with_capacity(bytes.len())?;
        packet.bytes.extend_from_slice(bytes);
        Ok(packet)
    }

    /// A packet whose window starts `headroom` bytes into `bytes`; `None` if it is shorter than that.
    pub fn from_bytes(bytes: Vec<u8>, headroom: usize) -> Option<Self> {
        (bytes.len() >= headroom).then(|| Self { bytes, start: headroom, ..Self::default() })
    }

    /// A copy, with all that is known of it.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn try_clone(&self) -> Result<Self> {
        let copy = Self::copy_of(self.bytes())?;
        Ok(Self {
            checksum: self.checksum,
            segmentation: self.segmentation,
            link: self.link.clone(),
            is_for_one: self.is_for_one,
            tracking: self.tracking,
            ..copy
        })
    }

    /// The bytes in the window.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The bytes in the window.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// How many bytes are in the window.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that it takes, for limits.
    pub fn footprint(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>()
    }

    /// Takes `len` bytes off the front of the window; they stay in front of it. `None` if it is shorter.
    #[must_use]
    pub fn pull(&mut self, len: usize) -> Option<()> {
        (len <= self.len()).then(|| self.start += len)
    }

    /// Moves the front of the window `len` bytes forward, over whatever was there last, or zeros; returns them.
    ///
    /// # Errors
    /// ENOBUFS if there is no room in front and none to be had.
    pub fn push(&mut self, len: usize) -> Result<&mut [u8]> {
        if len > self.start {
            let mut roomy = Self::copy_of(self.bytes())?;
            core::mem::swap(&mut self.bytes, &mut roomy.bytes);
            self.start = HEADROOM;
            if len > HEADROOM {
                return Err(Errno::ENOBUFS.into());
            }
        }
        self.start -= len;
        Ok(&mut self.bytes[self.start..self.start + len])
    }

    /// Cuts the window down to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// ENOBUFS.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.try_reserve(bytes.len()).map_err(|_| Errno::ENOBUFS)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The IP header at the front of the window. Only for packets whose header was checked, as all are that [`super::ip`] hands out.
    pub fn ip(&self) -> Ipv4Packet<&[u8]> {
        Ipv4Packet::new_unchecked(self.bytes())
    }

    /// As [`Self::ip`], to be changed.
    pub fn ip_mut(&mut self) -> Ipv4Packet<&mut [u8]> {
        Ipv4Packet::new_unchecked(self.bytes_mut())
    }

    /// What comes after the IP header: the transport's header and its payload.
    pub fn transport(&self) -> &[u8] {
        let header_len = usize::from(self.ip().header_len());
        self.bytes().get(header_len..).unwrap_or_default()
    }

    /// Leaves the transport checksum to whoever sends the packet out: puts the pseudo-header's sum into the field. The packet must be
    /// a whole TCP or UDP packet with its IP header; of others nothing happens.
    pub fn defer_checksum(&mut self) {
        let ip = self.ip();
        let (start, protocol) = (usize::from(ip.header_len()), ip.next_header());
        let Some(offset) = checksum_offset(protocol) else { return };
        let Some(len) = self.len().checked_sub(start) else { return };
        let sum = pseudo_header(ip.src_addr(), ip.dst_addr(), protocol, len);
        if let Some(field) = self.bytes_mut().get_mut(start + offset..start + offset + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
            self.checksum = Checksum::Partial { start: start as u16, field: (start + offset) as u16 };
        }
    }

    /// Puts in the checksum that [`Self::defer_checksum`] left out. The window starts at the IP header.
    pub fn complete_checksum(&mut self) {
        let Checksum::Partial { start, field } = self.checksum else { return };
        let (start, field) = (usize::from(start), usize::from(field));
        let bytes = self.bytes_mut();
        let Some(sum) = bytes.get(start..).map(|covered| !coffer_checksum::sum(covered)) else { return };
        // All zeros mean "no checksum" to UDP (RFC 768); both forms of zero are the same to a receiver (RFC 1071).
        let sum = if sum == 0 { u16::MAX } else { sum };
        if let Some(field) = bytes.get_mut(field..field + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        self.checksum = Checksum::Verified;
    }

    /// Whether the transport checksum of a TCP or UDP packet is right, or is nobody's to doubt.
    pub fn has_good_checksum(&self) -> bool {
        if self.checksum != Checksum::InPacket {
            return true;
        }
        let ip = self.ip();
        let (protocol, covered) = (ip.next_header(), self.transport());
        if protocol == IpProtocol::Udp && covered.get(6..8) == Some(&[0, 0]) {
            return true;
        }
        let sums =
            [pseudo_header(ip.src_addr(), ip.dst_addr(), protocol, covered.len()), checksum::data(covered)];
        checksum::combine(&sums) == u16::MAX
    }
}

/// Where in its header a protocol has a checksum over the pseudo-header.
pub fn checksum_offset(protocol: IpProtocol) -> Option<usize> {
    match protocol {
        IpProtocol::Tcp => Some(16),
        IpProtocol::Udp => Some(6),
        _ => None,
    }
}

fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: IpProtocol, len: usize) -> u16 {
    checksum::pseudo_header_v4(&source, &destination, protocol, len as u32)
}
