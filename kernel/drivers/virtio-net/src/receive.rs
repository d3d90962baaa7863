//! The receive queue: slots go round between the device and us, frames are copied out.

use crate::header::{self, Claims};
use crate::{FEATURE_GUEST_CSUM, FEATURE_GUEST_TSO4, FEATURE_MRG_RXBUF};
use alloc::vec::Vec;
use coffer_netdev::{ChecksumClaim, Received, Refused};
use coffer_virtio::{Buffer, Device, Error, Queue, Vector};
use ostd::mm::dma::DmaCoherent;

/// Slots at most, and their length: half a page takes a frame of an ordinary MTU.
const SLOTS: u16 = 256;
const SLOT_LEN: usize = 2048;
/// The longest frame that segments are merged into: an IP packet and its Ethernet header.
const LONGEST: usize = 65535 + 14;
/// Slots that such a frame takes.
const MOST_BUFFERS: usize = (LONGEST + header::LEN).div_ceil(SLOT_LEN);

pub(crate) struct Receive {
    queue: Queue<u16>,
    memory: DmaCoherent,
    features: u64,
    /// Slots given back that the device was not told of.
    unshown: u16,
}

impl Receive {
    pub(crate) fn new(device: &Device, vector: Vector, features: u64) -> Result<Self, Error> {
        let queue = device.queue(crate::QUEUE_RECEIVE, SLOTS, Some(vector))?;
        let memory = DmaCoherent::alloc(usize::from(queue.size()) * SLOT_LEN)?;
        let mut receive = Self { queue, memory, features, unshown: 0 };
        for slot in 0..receive.queue.size() {
            receive.give(slot);
        }
        Ok(receive)
    }

    /// The longest frame that fits, as long as nothing is merged.
    pub(crate) fn max_frame(&self) -> usize {
        if self.is_mergeable() {
            // Bounded, so that a full queue is many frames.
            usize::from(SLOTS) * SLOT_LEN / 16
        } else {
            SLOT_LEN - header::LEN
        }
    }

    fn is_mergeable(&self) -> bool {
        self.features & FEATURE_MRG_RXBUF != 0
    }

    pub(crate) fn has_frames(&self) -> bool {
        self.queue.has_used()
    }

    /// Whether the device is to interrupt for what it received.
    pub(crate) fn listen(&mut self, is_on: bool) {
        if is_on {
            self.show();
        }
        self.queue.set_interrupts(is_on);
    }

    /// Tells the device of slots that it was given back.
    pub(crate) fn show(&mut self) {
        if self.unshown > 0 {
            self.unshown = 0;
            self.queue.notify();
        }
    }

    /// The next frame. `Err`: the device broke the rules.
    pub(crate) fn take(&mut self, headroom: usize) -> Result<Option<Received>, Refused> {
        loop {
            let Some((slot, len)) = self.queue.pop().map_err(|_| Refused)? else { return Ok(None) };
            let mut bytes = [0; header::LEN];
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(SLOT_LEN);
            if len < header::LEN {
                return Err(Refused);
            }
            self.memory.read(usize::from(slot) * SLOT_LEN, &mut bytes);
            let claims = Claims::decode(&bytes);
            let buffers = if self.is_mergeable() { usize::from(claims.buffers) } else { 1 };
            let received = self.gather((slot, len), buffers, headroom)?;
            if self.unshown >= self.queue.size() / 4 {
                self.show();
            }
            if let Some(received) = received.and_then(|bytes| self.believe(claims, bytes, headroom)) {
                return Ok(Some(received));
            }
        }
    }

    /// Copies a frame out of its slots and gives them back; `None` if there is no memory for it.
    fn gather(
        &mut self,
        first: (u16, usize),
        buffers: usize,
        headroom: usize,
    ) -> Result<Option<Vec<u8>>, Refused> {
        if !(1..=MOST_BUFFERS).contains(&buffers) {
            return Err(Refused);
        }
        let mut parts = [first; MOST_BUFFERS];
        for part in &mut parts[1..buffers] {
            // All of a frame's buffers are used at once (5.1.6.4).
            let (slot, len) = self.queue.pop().map_err(|_| Refused)?.ok_or(Refused)?;
            *part = (slot, usize::try_from(len).unwrap_or(usize::MAX).min(SLOT_LEN));
        }
        let parts = &parts[..buffers];
        let total = parts.iter().map(|(_, len)| len).sum::<usize>() - header::LEN;
        let mut frame = Vec::new();
        let has_room = total <= LONGEST && frame.try_reserve_exact(headroom + total).is_ok();
        if has_room {
            frame.resize(headroom + total, 0);
        }
        let (mut at, mut skipped) = (headroom, header::LEN);
        for (slot, len) in parts {
            if has_room {
                let end = at + len - skipped;
                self.memory.read(usize::from(*slot) * SLOT_LEN + skipped, &mut frame[at..end]);
                at = end;
                skipped = 0;
            }
            self.give(*slot);
        }
        Ok(has_room.then_some(frame))
    }

    /// Takes of the claims what was agreed on; `None`: the frame is of a kind that was not.
    fn believe(&self, claims: Claims, bytes: Vec<u8>, headroom: usize) -> Option<Received> {
        let checksum = match claims.checksum(bytes.len() - headroom) {
            claim if self.features & FEATURE_GUEST_CSUM != 0 => claim,
            _ => ChecksumClaim::None,
        };
        let segment_size = claims.segment_size().ok()?;
        if segment_size.is_some() && self.features & FEATURE_GUEST_TSO4 == 0 {
            return None;
        }
        Some(Received { bytes, checksum, segment_size })
    }

    fn give(&mut self, slot: u16) {
        let offset = u64::from(slot) * SLOT_LEN as u64;
        let buffer = Buffer { device_address: self.memory.device_address() + offset, len: SLOT_LEN as u32 };
        // A slot that was free a moment ago fits; a broken queue takes nothing.
        let _ = self.queue.add(&[], &[buffer], slot);
        self.unshown += 1;
    }
}
