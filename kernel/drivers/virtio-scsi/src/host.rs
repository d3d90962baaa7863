//! The adapter: its queues, and requests that sleep until they are done.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use coffer_scsi::Command;
use coffer_scsi::wire::{self, Ending, REQUEST_LEN, RESPONSE_LEN};
use coffer_virtio::{Buffer, Device, Error, Queue, QueueError};
use ostd::mm::PAGE_SIZE;
use ostd::mm::dma::{Direction, DmaCoherent, DmaStream};
use ostd::pci::Function;
use ostd::sync::{Once, SpinLock, WaitQueue};

/// Offsets in the device's configuration (5.6.4).
mod config {
    pub(super) const SEG_MAX: usize = 4;
    pub(super) const MAX_SECTORS: usize = 8;
    pub(super) const MAX_TARGET: usize = 30;
}

const CONTROL_QUEUE: u16 = 0;
const EVENT_QUEUE: u16 = 1;
const REQUEST_QUEUE: u16 = 2;

const QUEUE_SIZE: u16 = 128;
/// Pages in one request at most: it takes two more descriptors.
pub(crate) const PAGES_PER_REQUEST: usize = 32;
const RESPONSE: usize = 64;
const SLOT_LEN: usize = 256;

const PENDING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// Why a command has not done what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The unit wants it once more.
    Attention,
    /// The unit refuses.
    Refused,
    /// There is no such unit.
    Absent,
    /// No memory for it.
    NoMemory,
    /// The adapter is broken.
    Lost,
}

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
    /// Requests and responses, by slot.
    slots: DmaCoherent,
    free_slots: SpinLock<Vec<u16>>,
    room: WaitQueue,
}

/// An adapter that is up.
pub(crate) struct Host {
    shared: Arc<Shared>,
    last_target: u8,
    pages_per_request: usize,
    _idle: [Queue<()>; 2],
    // Last, so that the device is reset only after nothing refers to its queues.
    _device: Device,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("last_target", &self.last_target).finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn new(function: Function) -> Result<Arc<Self>, Error> {
        let device = Device::new(function)?;
        device.negotiate(0, 0)?;
        let cell: Arc<Once<Arc<Shared>>> = Arc::new(Once::new());
        let vector = device.interrupt({
            let cell = cell.clone();
            move || {
                if let Some(shared) = cell.get() {
                    shared.complete();
                }
            }
        })?;
        let idle =
            [device.queue(CONTROL_QUEUE, QUEUE_SIZE, None)?, device.queue(EVENT_QUEUE, QUEUE_SIZE, None)?];
        let queue = device.queue(REQUEST_QUEUE, QUEUE_SIZE, Some(vector))?;
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
        let segments = u32::from_le_bytes(config.read(config::SEG_MAX)) as usize;
        let sectors = u32::from_le_bytes(config.read(config::MAX_SECTORS)) as usize;
        let max_target = u16::from_le_bytes(config.read(config::MAX_TARGET));
        // The queue must hold a whole request: its pages, and two descriptors more.
        let room = usize::from(slots).saturating_sub(2);
        let pages =
            [segments, sectors / (PAGE_SIZE / 512), room, PAGES_PER_REQUEST].into_iter().min().unwrap_or(0);
        if pages == 0 {
            return Err(Error::Protocol);
        }
        Ok(Arc::new(Self {
            shared,
            last_target: u8::try_from(max_target).unwrap_or(u8::MAX),
            pages_per_request: pages,
            _idle: idle,
            _device: device,
        }))
    }

    /// The highest target that there may be.
    pub(crate) fn last_target(&self) -> u8 {
        self.last_target
    }

    /// How many pages one request may move.
    pub(crate) fn pages_per_request(&self) -> usize {
        self.pages_per_request
    }

    /// Sends a command with its data and sleeps until it is done; gives how many bytes were moved.
    pub(crate) fn run(
        &self,
        address: [u8; 8],
        command: &Command,
        data: Option<(DmaStream, usize, Direction)>,
    ) -> Result<usize, Failure> {
        let bytes = data.as_ref().map_or(0, |(_, bytes, _)| *bytes);
        match self.shared.request(address, command, data).ok_or(Failure::Lost)? {
            // A device that misses more than there was has moved nothing.
            Ending::Good { missing } => Ok(bytes.saturating_sub(missing as usize)),
            Ending::Attention => Err(Failure::Attention),
            Ending::Refused => Err(Failure::Refused),
            Ending::Absent => Err(Failure::Absent),
        }
    }
}

impl Shared {
    /// Sends one request and sleeps until it has ended; `None` if the device is broken.
    fn request(
        &self,
        address: [u8; 8],
        command: &Command,
        data: Option<(DmaStream, usize, Direction)>,
    ) -> Option<Ending> {
        let slot = self.room.wait_until(|| self.free_slots.lock_irq().pop());
        let at = usize::from(slot) * SLOT_LEN;
        self.slots.write(at, &wire::request(address, u64::from(slot), command));
        self.slots.write(at + RESPONSE, &[0xff; RESPONSE_LEN]);
        let base = self.slots.device_address() + at as u64;
        let mut readable = Vec::from([Buffer { device_address: base, len: REQUEST_LEN as u32 }]);
        let response = Buffer { device_address: base + RESPONSE as u64, len: RESPONSE_LEN as u32 };
        let mut writable = Vec::from([response]);
        let stream = data.map(|(stream, bytes, direction)| {
            let side = if direction == Direction::ToDevice { &mut readable } else { &mut writable };
            let lengths = (0..bytes).step_by(PAGE_SIZE).map(|start| (bytes - start).min(PAGE_SIZE));
            side.extend(lengths.enumerate().map(|(index, len)| Buffer {
                device_address: stream.device_address(index),
                len: len as u32,
            }));
            stream
        });

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
        let mut response = [0; RESPONSE_LEN];
        self.slots.read(at + RESPONSE, &mut response);
        if is_done || !is_out {
            self.free_slots.lock_irq().push(slot);
        }
        self.room.wake_all();
        is_done.then(|| wire::response(&response))
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
        log::warn!("a virtio SCSI adapter is broken: request in slot {} is lost", self.slot);
        core::mem::forget(self.stream.take());
        self.finish(FAILED);
    }
}
