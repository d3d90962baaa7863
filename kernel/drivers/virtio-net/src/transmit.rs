//! The transmit queue: frames are copied into slots, which come back when the device is done.

use crate::header;
use alloc::vec::Vec;
use coffer_netdev::{Left, SendError};
use coffer_virtio::{Buffer, Device, Error, Queue, QueueError, Vector};
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::mm::dma::DmaCoherent;

/// Slots at most, and their length.
const SLOTS: u16 = 256;
const SLOT_LEN: usize = 4096;
/// Slots of the longest frame.
const MOST_BUFFERS: usize = (65535 + 14 + header::LEN).div_ceil(SLOT_LEN);

/// Slots of one frame, linked by [`Transmit::next`].
#[derive(Clone, Copy)]
struct Chain {
    first: u16,
    count: u16,
}

pub(crate) struct Transmit {
    queue: Queue<Chain>,
    memory: DmaCoherent,
    /// The slot after each slot, in a chain or among the free ones.
    next: Vec<u16>,
    free: u16,
    free_count: u16,
    has_unshown: bool,
}

impl Transmit {
    pub(crate) fn new(device: &Device, vector: Vector) -> Result<Self, Error> {
        let mut queue: Queue<Chain> = device.queue(crate::QUEUE_TRANSMIT, SLOTS, Some(vector))?;
        // Nobody needs to know when a frame has gone, unless somebody waits for room.
        queue.set_interrupts(false);
        let slots = queue.size();
        let memory = DmaCoherent::alloc(usize::from(slots) * SLOT_LEN)?;
        let next = (1..=slots).collect();
        Ok(Self { queue, memory, next, free: 0, free_count: slots, has_unshown: false })
    }

    pub(crate) fn send(
        &mut self,
        frame: &[u8],
        left: Left,
        wants_room: &AtomicBool,
    ) -> Result<(), SendError> {
        let len = header::LEN + frame.len();
        let count = len.div_ceil(SLOT_LEN);
        if count > MOST_BUFFERS.min(self.next.len()) {
            return Err(SendError::TooLong);
        }
        if usize::from(self.free_count) < count {
            self.reclaim()?;
        }
        if usize::from(self.free_count) < count {
            // In this order: room made in between is seen here or interrupts.
            wants_room.store(true, Ordering::Release);
            self.queue.set_interrupts(true);
            self.show();
            self.reclaim()?;
            if usize::from(self.free_count) < count {
                return Err(SendError::Full);
            }
        }
        let mut buffers = [Buffer { device_address: 0, len: 0 }; MOST_BUFFERS];
        let first = self.free;
        let (mut rest, mut skipped) = (frame, header::LEN);
        for buffer in &mut buffers[..count] {
            let slot = usize::from(self.free);
            let at = slot * SLOT_LEN;
            let (now, later) = rest.split_at(rest.len().min(SLOT_LEN - skipped));
            self.memory.write(at + skipped, now);
            let device_address = self.memory.device_address() + at as u64;
            *buffer = Buffer { device_address, len: (skipped + now.len()) as u32 };
            (rest, skipped) = (later, 0);
            self.free = self.next[slot];
        }
        self.memory.write(usize::from(first) * SLOT_LEN, &header::encode(left));
        self.free_count -= count as u16;
        let chain = Chain { first, count: count as u16 };
        self.queue.add(&buffers[..count], &[], chain).map_err(|(error, chain)| {
            self.release(chain);
            match error {
                QueueError::Full => SendError::Full,
                QueueError::Broken => SendError::Broken,
            }
        })?;
        self.has_unshown = true;
        Ok(())
    }

    /// Shows the device what was sent.
    pub(crate) fn show(&mut self) {
        if core::mem::take(&mut self.has_unshown) {
            self.queue.notify();
        }
    }

    /// Whether the device is done with enough that it is worth coming back: half of what it had.
    pub(crate) fn has_room(&mut self) -> bool {
        // A broken queue has no room; who sends next learns of it.
        let _ = self.reclaim();
        usize::from(self.free_count) >= self.next.len() / 2
    }

    pub(crate) fn stop_listening(&mut self, wants_room: &AtomicBool) {
        self.queue.set_interrupts(false);
        wants_room.store(false, Ordering::Release);
    }

    fn reclaim(&mut self) -> Result<(), SendError> {
        while let Some((chain, _)) = self.queue.pop().map_err(|_| SendError::Broken)? {
            self.release(chain);
        }
        Ok(())
    }

    fn release(&mut self, chain: Chain) {
        let mut last = usize::from(chain.first);
        for _ in 1..chain.count {
            last = usize::from(self.next[last]);
        }
        self.next[last] = self.free;
        self.free = chain.first;
        self.free_count += chain.count;
    }
}
