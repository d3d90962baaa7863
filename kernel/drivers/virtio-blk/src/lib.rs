//! virtio-blk (virtio 1.2, 5.2): one queue, interrupts, whole pages straight between the device and frames.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_block::{BlockDevice, BlockError, SECTOR_SIZE};
use coffer_virtio::{Buffer, Device, Error, Queue, QueueError};
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use ostd::mm::dma::{Direction, DmaCoherent, DmaStream};
use ostd::mm::{PAGE_SIZE, UFrame};
use ostd::pci::Function;
use ostd::sync::{SpinLock, WaitQueue};

const FEATURE_RO: u64 = 1 << 5;
const FEATURE_BLK_SIZE: u64 = 1 << 6;
const FEATURE_FLUSH: u64 = 1 << 9;

const CONFIG_CAPACITY: usize = 0;
const CONFIG_BLK_SIZE: usize = 20;

const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_GET_ID: u32 = 8;
const STATUS_OK: u8 = 0;
const SERIAL_LEN: usize = 20;

const QUEUE_SIZE: u16 = 128;
/// Pages in one request at most: it takes two more descriptors.
const PAGES_PER_REQUEST: usize = 32;
const HEADER_LEN: usize = 16;
/// A request's header, then its status byte, then room for the serial number.
const STATUS: usize = HEADER_LEN;
const EXTRA: usize = 32;
const SLOT_LEN: usize = 64;

const PENDING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// A request that the device has. It owns the frames until the device is done, whatever becomes of who waits.
struct Request {
    slot: u16,
    stream: Option<DmaStream>,
    outcome: Arc<Outcome>,
}

struct Outcome {
    state: AtomicU8,
    queue: WaitQueue,
}

struct Shared {
    queue: SpinLock<Queue<Request>>,
    /// Headers and status bytes, by slot.
    slots: DmaCoherent,
    free_slots: SpinLock<Vec<u16>>,
    room: WaitQueue,
}

/// A virtio disk.
pub struct VirtioBlk {
    shared: Arc<Shared>,
    sectors: u64,
    block_size: usize,
    is_read_only: bool,
    has_flush: bool,
    serial: Vec<u8>,
    // Last, so that the device is reset only after nothing refers to its queue.
    _device: Device,
}

impl fmt::Debug for VirtioBlk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioBlk").field("sectors", &self.sectors).finish_non_exhaustive()
    }
}

impl VirtioBlk {
    /// Brings the disk up.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(function: Function) -> Result<Arc<Self>, Error> {
        let device = Device::new(function)?;
        let features = device.negotiate(0, FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH)?;
        let cell: Arc<ostd::sync::Once<Arc<Shared>>> = Arc::new(ostd::sync::Once::new());
        let vector = device.interrupt({
            let cell = cell.clone();
            move || {
                if let Some(shared) = cell.get() {
                    shared.complete();
                }
            }
        })?;
        let queue = device.queue(0, QUEUE_SIZE, Some(vector))?;
        let slots = queue.size();
        let shared = Arc::new(Shared {
            queue: SpinLock::new(queue),
            slots: DmaCoherent::alloc(usize::from(slots) * SLOT_LEN)?,
            free_slots: SpinLock::new((0..slots).collect()),
            room: WaitQueue::new(),
        });
        cell.call_once(|| shared.clone());
        device.start();
        let config = device.config();
        let block_size = u32::from_le_bytes(config.read(CONFIG_BLK_SIZE)) as usize;
        let mut disk = Self {
            sectors: u64::from_le_bytes(config.read(CONFIG_CAPACITY)),
            block_size: if features & FEATURE_BLK_SIZE != 0 && block_size.is_power_of_two() {
                block_size.clamp(SECTOR_SIZE, PAGE_SIZE)
            } else {
                SECTOR_SIZE
            },
            is_read_only: features & FEATURE_RO != 0,
            has_flush: features & FEATURE_FLUSH != 0,
            serial: Vec::new(),
            shared,
            _device: device,
        };
        disk.serial = disk.read_serial();
        Ok(Arc::new(disk))
    }

    fn read_serial(&self) -> Vec<u8> {
        let mut serial = [0; SERIAL_LEN];
        match self.shared.request(TYPE_GET_ID, 0, None, Some(&mut serial)) {
            Ok(()) => serial.iter().copied().take_while(|byte| byte.is_ascii_graphic()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Runs `frames` through requests of bounded size; the part past the device's end is left out.
    fn transfer(&self, kind: u32, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
        for (index, chunk) in frames.chunks(PAGES_PER_REQUEST).enumerate() {
            let at = sector + (index * PAGES_PER_REQUEST) as u64 * SECTORS_PER_PAGE;
            let left = self.sectors.checked_sub(at).filter(|left| *left > 0).ok_or(BlockError::OutOfRange)?;
            let bytes =
                left.saturating_mul(SECTOR_SIZE as u64).min((chunk.len() * PAGE_SIZE) as u64) as usize;
            let pages = bytes.div_ceil(PAGE_SIZE);
            let (inside, outside) = chunk.split_at(pages);
            let direction = if kind == TYPE_IN { Direction::FromDevice } else { Direction::ToDevice };
            let stream = DmaStream::new(inside.to_vec(), direction).map_err(|_| BlockError::NoMemory)?;
            self.shared.request(kind, at, Some((stream, bytes)), None)?;
            if kind == TYPE_IN {
                if !bytes.is_multiple_of(PAGE_SIZE) {
                    inside[pages - 1].zero(bytes % PAGE_SIZE..PAGE_SIZE);
                }
                outside.iter().for_each(|frame| frame.zero(0..PAGE_SIZE));
            }
        }
        Ok(())
    }
}

impl BlockDevice for VirtioBlk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn block_size(&self) -> usize {
        self.block_size
    }

    fn read_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        self.transfer(TYPE_IN, sector, frames)
    }

    fn write_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        if self.is_read_only {
            return Err(BlockError::ReadOnly);
        }
        self.transfer(TYPE_OUT, sector, frames)
    }

    fn flush(&self) -> Result<(), BlockError> {
        if self.has_flush { self.shared.request(TYPE_FLUSH, 0, None, None) } else { Ok(()) }
    }

    fn serial(&self) -> &[u8] {
        &self.serial
    }
}

impl Shared {
    /// Sends one request and sleeps until it is done.
    fn request(
        &self,
        kind: u32,
        sector: u64,
        data: Option<(DmaStream, usize)>,
        extra: Option<&mut [u8; SERIAL_LEN]>,
    ) -> Result<(), BlockError> {
        let slot = self.room.wait_until(|| self.free_slots.lock_irq().pop());
        let at = usize::from(slot) * SLOT_LEN;
        self.slots.store_u32(at, kind);
        self.slots.store_u32(at + 4, 0);
        self.slots.store_u64(at + 8, sector);
        self.slots.store_u8(at + STATUS, 0xff);
        let base = self.slots.device_address() + at as u64;
        let header = Buffer { device_address: base, len: HEADER_LEN as u32 };
        let status = Buffer { device_address: base + STATUS as u64, len: 1 };
        let mut readable = alloc::vec![header];
        let mut writable = Vec::new();
        let side = if kind == TYPE_OUT { &mut readable } else { &mut writable };
        let stream = data.map(|(stream, bytes)| {
            let lengths = (0..bytes).step_by(PAGE_SIZE).map(|start| (bytes - start).min(PAGE_SIZE));
            side.extend(lengths.enumerate().map(|(index, len)| Buffer {
                device_address: stream.device_address(index),
                len: len as u32,
            }));
            stream
        });
        if extra.is_some() {
            writable.push(Buffer { device_address: base + EXTRA as u64, len: SERIAL_LEN as u32 });
        }
        writable.push(status);

        let outcome = Arc::new(Outcome { state: AtomicU8::new(PENDING), queue: WaitQueue::new() });
        let mut request = Some(Request { slot, stream, outcome: outcome.clone() });
        let is_out = self.room.wait_until(|| {
            let mut queue = self.queue.lock_irq();
            match queue.add(&readable, &writable, request.take()?) {
                Ok(()) => {
                    queue.notify();
                    Some(true)
                }
                Err((QueueError::Full, back)) => {
                    request = Some(back);
                    None
                }
                Err((QueueError::Broken, _)) => Some(false),
            }
        });
        let is_done = is_out
            && outcome.queue.wait_until(|| match outcome.state.load(Ordering::Acquire) {
                PENDING => None,
                state => Some(state == DONE),
            });
        let status = self.slots.load_u8(at + STATUS);
        if let Some(extra) = extra {
            self.slots.read(at + EXTRA, extra);
        }
        if is_done || !is_out {
            self.free_slots.lock_irq().push(slot);
        }
        self.room.wake_all();
        if is_done && status == STATUS_OK { Ok(()) } else { Err(BlockError::Device) }
    }

    /// In interrupt context: takes back what is done.
    fn complete(&self) {
        let mut queue = self.queue.lock_irq();
        loop {
            match queue.pop() {
                Ok(Some((request, _))) => request.finish(DONE),
                Ok(None) => break,
                Err(_) => {
                    // The device still may write to what it was given: those frames and slots are never used again.
                    for request in queue.drain() {
                        request.abandon();
                    }
                    break;
                }
            }
        }
    }
}

impl Request {
    fn finish(self, state: u8) {
        let Self { slot: _, stream, outcome } = self;
        if let Some(stream) = stream {
            drop(stream.finish());
        }
        outcome.state.store(state, Ordering::Release);
        outcome.queue.wake_all();
    }

    fn abandon(mut self) {
        log::warn!("a virtio disk is broken: request in slot {} is lost", self.slot);
        core::mem::forget(self.stream.take());
        self.finish(FAILED);
    }
}
