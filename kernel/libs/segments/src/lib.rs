//! Which TCP segments over IPv4 may travel on as one long packet, so that the stack looks at one header instead of twenty.
//!
//! Only what can be taken apart again without a trace is put together: segments of one flow that follow each other without a gap, carry
//! nothing but data, are all as long as the first one but for the last, and whose headers are the same, byte for byte, but for what
//! counts them (identification, sequence number, PSH) and covers them (lengths, checksums).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

/// The longest IP packet.
const MAX_LEN: usize = 65535;
/// An IP header without options: others are rare, and each fragment may have its own.
const IP_LEN: usize = 20;
const TCP_LEN: usize = 20;
const PROTOCOL_TCP: u8 = 6;
const FLAG_ACK: u8 = 0x10;
const FLAG_PUSH: u8 = 0x08;
/// Where things are: in the IP header (RFC 791, 3.1), and in the TCP header after it (RFC 9293, 3.1).
const TOTAL_LEN: usize = 2;
const FRAGMENT: usize = 6;
const PROTOCOL: usize = 9;
const IP_CHECKSUM: usize = 10;
const ADDRESSES: usize = 12;
const SEQUENCE: usize = IP_LEN + 4;
const SEQUENCE_END: usize = SEQUENCE + 4;
const OFFSET: usize = IP_LEN + 12;
const FLAGS: usize = IP_LEN + 13;
const TCP_CHECKSUM: usize = IP_LEN + 16;
const TCP_CHECKSUM_END: usize = TCP_CHECKSUM + 2;

/// Whose a segment is: addresses and ports as they stand in the packet.
pub type Flow = [u8; 12];

/// A TCP segment that came in one piece, with an IP header without options whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose it is.
    pub flow: Flow,
    /// How long its headers are together.
    pub headers_len: usize,
    /// How much it carries.
    pub payload_len: usize,
    sequence: u32,
    /// Whether it carries data, says nothing else, and nothing is after it.
    is_plain: bool,
    is_pushed: bool,
}

impl Segment {
    /// Reads a packet that starts with its IP header and may have padding after it; `None` if it is something else.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<{ IP_LEN + TCP_LEN }>()?;
        // Anything but "don't fragment" makes it a piece.
        let is_whole = header[FRAGMENT] & !0x40 == 0 && header[FRAGMENT + 1] == 0;
        let total_len = usize::from(u16::from_be_bytes([header[TOTAL_LEN], header[TOTAL_LEN + 1]]));
        if header[0] != 0x45 || header[PROTOCOL] != PROTOCOL_TCP || !is_whole {
            return None;
        }
        if coffer_checksum::sum(&header[..IP_LEN]) != u16::MAX {
            return None;
        }
        let tcp_len = usize::from(header[OFFSET] >> 4) * 4;
        let headers_len = IP_LEN + tcp_len;
        let is_padded = total_len < packet.len();
        let payload_len = packet.get(..total_len)?.len().checked_sub(headers_len)?;
        if tcp_len < TCP_LEN {
            return None;
        }
        let mut flow = Flow::default();
        flow.copy_from_slice(&header[ADDRESSES..ADDRESSES + 12]);
        let sequence = packet[SEQUENCE..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
        let flags = header[FLAGS];
        // The lowest bit beside the offset belongs to the flags (RFC 3540).
        let is_plain =
            !is_padded && payload_len > 0 && flags & !FLAG_PUSH == FLAG_ACK && header[OFFSET] & 0x0f == 0;
        Some(Self { flow, headers_len, payload_len, sequence, is_plain, is_pushed: flags & FLAG_PUSH != 0 })
    }
}

/// Segments that were put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// What the first one carries, and each after it but the last.
    size: usize,
    headers_len: usize,
    len: usize,
    next: u32,
    is_ended: bool,
    is_pushed: bool,
    segments: u32,
}

impl Train {
    /// One that starts with this segment; `None` if nothing may follow it.
    pub fn start(segment: &Segment) -> Option<Self> {
        (segment.is_plain && !segment.is_pushed).then(|| Self {
            size: segment.payload_len,
            headers_len: segment.headers_len,
            len: segment.headers_len + segment.payload_len,
            next: segment.sequence.wrapping_add(segment.payload_len as u32),
            is_ended: false,
            is_pushed: false,
            segments: 1,
        })
    }

    /// Whether `packet`, which is `segment`, may be joined to the packet so far, `train`.
    pub fn takes(&self, train: &[u8], segment: &Segment, packet: &[u8]) -> bool {
        segment.is_plain
            && !self.is_ended
            && segment.sequence == self.next
            && segment.headers_len == self.headers_len
            && segment.payload_len <= self.size
            && self.len + segment.payload_len <= MAX_LEN
            && has_same_headers(train, packet, self.headers_len)
    }

    /// Notes that its payload was joined.
    pub fn add(&mut self, segment: &Segment) {
        self.len += segment.payload_len;
        self.next = self.next.wrapping_add(segment.payload_len as u32);
        self.is_pushed = segment.is_pushed;
        self.is_ended = segment.payload_len < self.size || segment.is_pushed;
        self.segments = self.segments.saturating_add(1);
    }

    /// What each segment carries, if there is more than one.
    pub fn segment_size(&self) -> Option<u16> {
        (self.segments > 1).then(|| u16::try_from(self.size).ok()).flatten()
    }

    /// Makes the first one's headers, in `train`, those of the whole. The TCP checksum is left to who knows how.
    pub fn write_headers(&self, train: &mut [u8]) {
        let Some(header) = train.first_chunk_mut::<{ IP_LEN + TCP_LEN }>() else { return };
        header[TOTAL_LEN..TOTAL_LEN + 2].copy_from_slice(&(self.len as u16).to_be_bytes());
        header[IP_CHECKSUM..IP_CHECKSUM + 2].fill(0);
        let sum = !coffer_checksum::sum(&header[..IP_LEN]);
        header[IP_CHECKSUM..IP_CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        if self.is_pushed {
            header[FLAGS] |= FLAG_PUSH;
        }
    }
}

fn has_same_headers(left: &[u8], right: &[u8], len: usize) -> bool {
    let (Some(left), Some(right)) = (left.get(..len), right.get(..len)) else { return false };
    left.iter().zip(right).enumerate().all(|(at, (left, right))| match at {
        // Lengths and identification, checksums, the sequence number.
        TOTAL_LEN..FRAGMENT | IP_CHECKSUM..ADDRESSES => true,
        SEQUENCE..SEQUENCE_END | TCP_CHECKSUM..TCP_CHECKSUM_END => true,
        FLAGS => left | FLAG_PUSH == right | FLAG_PUSH,
        _ => left == right,
    })
}
