//! Split virtqueues (virtio 1.2, 2.7).
//!
//! Descriptors and the available ring are written by us and never read; the used ring is the device's word. Which chains are
//! out, how long they are and what the driver wants to know when they come back is kept here, outside of shared memory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use ostd::mm::dma::DmaCoherent;
use ostd::pci::Mmio;

const DESCRIPTOR_LEN: usize = 16;
const FLAG_NEXT: u16 = 1;
const FLAG_WRITE: u16 = 2;
const AVAILABLE_NO_INTERRUPT: u16 = 1;
const USED_NO_NOTIFY: u16 = 1;
const AVAILABLE_INDEX: usize = 2;
const RING: usize = 4;
const USED_ENTRY_LEN: usize = 8;

/// A stretch of DMA memory in a chain.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// What [`DmaCoherent::device_address`] or its stream sibling gave.
    pub device_address: u64,
    /// Length in bytes.
    pub len: u32,
}

/// Why a queue refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// No room for the chain now.
    Full,
    /// The device broke the rules; the queue is dead.
    Broken,
}

/// A chain that the device has.
struct Chain<T> {
    token: T,
    descriptors: u16,
    writable_len: u32,
}

/// A split virtqueue; `T` is what the driver wants back with a used chain.
pub struct Queue<T> {
    memory: DmaCoherent,
    size: u16,
    driver_offset: usize,
    device_offset: usize,
    /// Where to ring, and what to write there.
    bell: (Arc<Mmio>, usize, u16),
    /// Chains out, by head.
    chains: Vec<Option<Chain<T>>>,
    /// Our own copy of each descriptor's `next`; free ones are linked from `free`.
    next: Vec<u16>,
    free: u16,
    free_len: u16,
    available: u16,
    used: u16,
    is_broken: bool,
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("size", &self.size)
            .field("free", &self.free_len)
            .finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(
        size: u16,
        bell: (Arc<Mmio>, usize, u16),
        has_interrupt: bool,
    ) -> Result<Self, ostd::Error> {
        let entries = usize::from(size);
        let driver_offset = entries * DESCRIPTOR_LEN;
        let device_offset = (driver_offset + RING + 2 * entries + 2).next_multiple_of(4);
        let memory = DmaCoherent::alloc(device_offset + RING + USED_ENTRY_LEN * entries + 2)?;
        if !has_interrupt {
            memory.store_u16(driver_offset, AVAILABLE_NO_INTERRUPT);
        }
        Ok(Self {
            memory,
            size,
            driver_offset,
            device_offset,
            bell,
            chains: (0..size).map(|_| None).collect(),
            next: (1..=size).collect(),
            free: 0,
            free_len: size,
            available: 0,
            used: 0,
            is_broken: false,
        })
    }

    /// Device addresses of descriptors, available ring and used ring.
    pub(crate) fn addresses(&self) -> [u64; 3] {
        let base = self.memory.device_address();
        [base, base + self.driver_offset as u64, base + self.device_offset as u64]
    }

    /// How many entries it has.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// How many descriptors are free.
    pub fn free_count(&self) -> u16 {
        self.free_len
    }

    /// Puts a chain out: first what the device reads, then what it writes. Not seen before [`Self::notify`].
    ///
    /// # Errors
    /// [`QueueError`], with the token.
    pub fn add(&mut self, readable: &[Buffer], writable: &[Buffer], token: T) -> Result<(), (QueueError, T)> {
        if self.is_broken {
            return Err((QueueError::Broken, token));
        }
        let count = readable.len() + writable.len();
        if count == 0 || count > usize::from(self.free_len) {
            return Err((QueueError::Full, token));
        }
        let head = self.free;
        let buffers = readable
            .iter()
            .map(|buffer| (buffer, 0))
            .chain(writable.iter().map(|buffer| (buffer, FLAG_WRITE)));
        for (index, (buffer, flag)) in buffers.enumerate() {
            let descriptor = self.free;
            self.free = self.next[usize::from(descriptor)];
            let is_last = index + 1 == count;
            let at = usize::from(descriptor) * DESCRIPTOR_LEN;
            self.memory.store_u64(at, buffer.device_address);
            self.memory.store_u32(at + 8, buffer.len);
            self.memory.store_u16(at + 12, if is_last { flag } else { flag | FLAG_NEXT });
            self.memory.store_u16(at + 14, if is_last { 0 } else { self.free });
        }
        self.free_len -= count as u16;
        let writable_len = writable.iter().fold(0u32, |sum, buffer| sum.saturating_add(buffer.len));
        self.chains[usize::from(head)] = Some(Chain { token, descriptors: count as u16, writable_len });
        let slot = usize::from(self.available % self.size);
        self.memory.store_u16(self.driver_offset + RING + 2 * slot, head);
        self.available = self.available.wrapping_add(1);
        self.memory.store_u16(self.driver_offset + AVAILABLE_INDEX, self.available);
        Ok(())
    }

    /// Tells the device of what was added, unless it does not want to know.
    pub fn notify(&self) {
        // The index must be visible before the flag is read (2.7.13.4.1).
        fence(Ordering::SeqCst);
        if self.memory.load_u16(self.device_offset) & USED_NO_NOTIFY == 0 {
            let (bar, offset, index) = &self.bell;
            bar.write_u16(*offset, *index);
        }
    }

    /// Whether the device is to interrupt when it has used something. A hint, which takes effect at once or a little later; ask
    /// [`Self::has_used`] after turning it on.
    pub fn set_interrupts(&mut self, is_on: bool) {
        self.memory.store_u16(self.driver_offset, if is_on { 0 } else { AVAILABLE_NO_INTERRUPT });
        // The flag must be visible before the used index is read (2.7.7.1).
        fence(Ordering::SeqCst);
    }

    /// Whether the device says that it has used something.
    pub fn has_used(&self) -> bool {
        !self.is_broken && self.memory.load_u16(self.device_offset + AVAILABLE_INDEX) != self.used
    }

    /// Takes back the next used chain: its token and how many bytes the device says it wrote, never more than it was given.
    ///
    /// # Errors
    /// [`QueueError::Broken`] when the device gives back what it does not have.
    pub fn pop(&mut self) -> Result<Option<(T, u32)>, QueueError> {
        if self.is_broken {
            return Err(QueueError::Broken);
        }
        let index = self.memory.load_u16(self.device_offset + AVAILABLE_INDEX);
        if index == self.used {
            return Ok(None);
        }
        let out = index.wrapping_sub(self.used);
        let at = self.device_offset + RING + USED_ENTRY_LEN * usize::from(self.used % self.size);
        let id = self.memory.load_u32(at);
        let len = self.memory.load_u32(at + 4);
        let chain = usize::try_from(id)
            .ok()
            .filter(|_| out <= self.size)
            .and_then(|id| self.chains.get_mut(id))
            .and_then(Option::take);
        let Some(chain) = chain else {
            self.is_broken = true;
            log::warn!("a virtio device broke its queue: used index {index}, id {id}, {len} bytes");
            return Err(QueueError::Broken);
        };
        self.used = self.used.wrapping_add(1);
        self.release(id as u16, chain.descriptors);
        // Not a reason to give the device up: QEMU's SCSI adapter counts what it has read as well.
        Ok(Some((chain.token, len.min(chain.writable_len))))
    }

    /// Whether the device has broken the rules.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Takes all tokens out of a queue whose device is broken or reset.
    pub fn drain(&mut self) -> Vec<T> {
        self.is_broken = true;
        self.chains.iter_mut().filter_map(Option::take).map(|chain| chain.token).collect()
    }

    fn release(&mut self, head: u16, descriptors: u16) {
        let mut last = head;
        for _ in 1..descriptors {
            last = self.next[usize::from(last)];
        }
        self.next[usize::from(last)] = self.free;
        self.free = head;
        self.free_len += descriptors;
    }
}
