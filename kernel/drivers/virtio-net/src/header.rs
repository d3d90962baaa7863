//! The header in front of each frame (virtio 1.2, 5.1.6).

use coffer_netdev::{ChecksumClaim, Left};

/// Its length: `num_buffers` is always there since virtio 1.0.
pub(crate) const LEN: usize = 12;

const FLAG_NEEDS_CSUM: u8 = 1;
const FLAG_DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_ECN: u8 = 0x80;
/// The least payload of a TCP segment that makes sense (RFC 879 asks for 536); less would cut a frame into thousands.
const LEAST_SEGMENT: u16 = 64;

/// For a frame to be sent.
pub(crate) fn encode(left: Left) -> [u8; LEN] {
    let mut header = [0; LEN];
    if let Some((start, offset)) = left.checksum {
        header[0] = FLAG_NEEDS_CSUM;
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&offset.to_le_bytes());
    }
    if let Some((size, headers)) = left.segmentation {
        header[1] = GSO_TCPV4;
        header[2..4].copy_from_slice(&headers.to_le_bytes());
        header[4..6].copy_from_slice(&size.to_le_bytes());
    }
    header
}

/// A received header, read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims {
    flags: u8,
    gso: u8,
    gso_size: u16,
    start: u16,
    offset: u16,
    /// Over how many buffers the frame is spread.
    pub(crate) buffers: u16,
}

impl Claims {
    pub(crate) fn decode(header: &[u8; LEN]) -> Self {
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        Self {
            flags: header[0],
            gso: header[1] & !GSO_ECN,
            gso_size: word(4),
            start: word(6),
            offset: word(8),
            buffers: word(10),
        }
    }

    /// What it says of the checksum of a frame of `len` bytes.
    pub(crate) fn checksum(self, len: usize) -> ChecksumClaim {
        let end = usize::from(self.start) + usize::from(self.offset) + 2;
        if self.flags & FLAG_NEEDS_CSUM != 0 && end <= len {
            ChecksumClaim::Partial(self.start, self.offset)
        } else if self.flags & FLAG_DATA_VALID != 0 {
            ChecksumClaim::Verified
        } else {
            ChecksumClaim::None
        }
    }

    /// The payload of the segments that the frame was made of; `Err`: of a kind that was not asked for.
    pub(crate) fn segment_size(self) -> Result<Option<u16>, ()> {
        match self.gso {
            GSO_NONE => Ok(None),
            GSO_TCPV4 if self.gso_size >= LEAST_SEGMENT => Ok(Some(self.gso_size)),
            _ => Err(()),
        }
    }
}
