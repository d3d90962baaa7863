//! A queue of requests whose senders sleep until the device has answered, as block devices and SCSI adapters have them.
//!
//! A request is what the device reads first (its head), pages of data one way or the other, and what it writes to tell how it went (its
//! answer). Head and answer lie in a slot of memory that all requests share; the pages belong to the request until the device is done, whatever
//! becomes of who waits.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use ostd::mm::PAGE_SIZE;
use ostd::mm::dma::{Direction, DmaCoherent, DmaStream};
use ostd::sync::{Once, SpinLock, WaitQueue};

use crate::{Buffer, Device, Error, Queue, QueueError};

const QUEUE_SIZE: u16 = 128;
/// Descriptors that a request takes beside its pages: head and answer.
const OWN_DESCRIPTORS: usize = 2;
/// What an answer reads as that the device has not written.
const UNANSWERED: u8 = 0xff;

const PENDING: u8 = 0;
const DONE: u8 = 1;
const LOST: u8 = 2;

/// What the requests of a device look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes of a head at most.
    pub head_len: usize,
    /// Bytes of an answer at most.
    pub answer_len: usize,
    /// Where the answer is among what the device writes: before the data or behind them.
    pub is_answer_first: bool,
}

/// Pages of data that go with a request.
#[derive(Debug)]
pub struct Data {
    /// The pages, prepared for the transfer.
    pub stream: DmaStream,
    /// How many bytes of them are moved.
    pub len: usize,
    /// Which way.
    pub direction: Direction,
}

/// The device is broken: it gave back what it does not have, and is never asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// Requests of one queue of a device.
pub struct Requests(Arc<Shared>);

struct Shared {
    queue: SpinLock<Queue<Request>>,
    /// Heads and answers, by slot.
    slots: DmaCoherent,
    shape: Shape,
    free_slots: SpinLock<Vec<u16>>,
    /// Woken when a slot or descriptors may have come free.
    room: WaitQueue,
}

/// A request that the device has.
struct Request {
    slot: u16,
    stream: Option<DmaStream>,
    outcome: Arc<Outcome>,
}

struct Outcome {
    state: AtomicU8,
    queue: WaitQueue,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("shape", &self.0.shape).finish_non_exhaustive()
    }
}

impl Requests {
    /// Sets up queue `index` of a device that has not been started.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(device: &Device, index: u16, shape: Shape) -> Result<Self, Error> {
        let cell: Arc<Once<Arc<Shared>>> = Arc::new(Once::new());
        let vector = device.interrupt({
            let cell = cell.clone();
            move || {
                if let Some(shared) = cell.get() {
                    shared.complete();
                }
            }
        })?;
        let queue = device.queue(index, QUEUE_SIZE, Some(vector))?;
        let slots = queue.size();
        let shared = Arc::new(Shared {
            queue: SpinLock::new(queue),
            slots: DmaCoherent::alloc(usize::from(slots) * shape.slot_len())?,
            shape,
            free_slots: SpinLock::new((0..slots).collect()),
            room: WaitQueue::new(),
        });
        cell.call_once(|| shared.clone());
        Ok(Self(shared))
    }

    /// How many pages of data one request has room for; 0 if the device's queue is too short for any.
    pub fn page_limit(&self) -> usize {
        usize::from(self.0.queue.lock_irq().size()).saturating_sub(OWN_DESCRIPTORS)
    }

    /// Sends one request and sleeps until the device has answered. Of the answer, what the device did not write reads as 0xff. `data` must be of no
    /// more than [`Self::page_limit`] pages; panics if head or answer is longer than the shape says.
    ///
    /// # Errors
    /// [`Lost`]; the pages are never used again then, because the device may still write to them.
    pub fn send(&self, head: &[u8], data: Option<Data>, answer: &mut [u8]) -> Result<(), Lost> {
        let shared = &*self.0;
        let slot = shared.room.wait_until(|| {
            let slot = shared.free_slots.lock_irq().pop();
            // Slots that a broken device has do not come back.
            slot.map(Ok).or_else(|| shared.queue.lock_irq().is_broken().then_some(Err(Lost)))
        })?;
        let result = shared.send_in(slot, head, data, answer);
        shared.room.wake_all();
        result
    }
}

impl Shape {
    /// Bytes of a slot: the head, and the answer on a boundary that suits any of its fields.
    fn slot_len(&self) -> usize {
        self.answer_offset() + self.answer_len.next_multiple_of(8)
    }

    fn answer_offset(&self) -> usize {
        self.head_len.next_multiple_of(8)
    }
}

impl Shared {
    fn send_in(&self, slot: u16, head: &[u8], data: Option<Data>, answer: &mut [u8]) -> Result<(), Lost> {
        let head_at = usize::from(slot) * self.shape.slot_len();
        let answer_at = head_at + self.shape.answer_offset();
        assert!(head.len() <= self.shape.head_len && answer.len() <= self.shape.answer_len);
        answer.fill(UNANSWERED);
        self.slots.write(head_at, head);
        self.slots.write(answer_at, answer);

        let own = |at: usize, len: usize| Buffer {
            device_address: self.slots.device_address() + at as u64,
            len: len as u32,
        };
        let (mut readable, mut writable) = (Vec::from([own(head_at, head.len())]), Vec::new());
        let answer_buffer = own(answer_at, answer.len());
        if self.shape.is_answer_first {
            writable.push(answer_buffer);
        }
        let stream = data.map(|data| {
            let side = if data.direction == Direction::ToDevice { &mut readable } else { &mut writable };
            side.extend(data.buffers());
            data.stream
        });
        if !self.shape.is_answer_first {
            writable.push(answer_buffer);
        }

        let outcome = Arc::new(Outcome { state: AtomicU8::new(PENDING), queue: WaitQueue::new() });
        let request = Request { slot, stream, outcome: outcome.clone() };
        if let Err(request) = self.put_out(&readable, &writable, request) {
            self.free_slots.lock_irq().push(request.slot);
            return Err(Lost);
        }
        let state = outcome.queue.wait_until(|| match outcome.state.load(Ordering::Acquire) {
            PENDING => None,
            state => Some(state),
        });
        if state == LOST {
            return Err(Lost);
        }
        self.slots.read(answer_at, answer);
        self.free_slots.lock_irq().push(slot);
        Ok(())
    }

    /// Gives a request to the device when there is room for it; gives it back if the device is broken.
    fn put_out(&self, readable: &[Buffer], writable: &[Buffer], request: Request) -> Result<(), Request> {
        let mut waiting = Some(request);
        self.room.wait_until(|| {
            let mut queue = self.queue.lock_irq();
            match queue.add(readable, writable, waiting.take()?) {
                Ok(()) => {
                    queue.notify();
                    Some(Ok(()))
                }
                Err((QueueError::Full, back)) => {
                    waiting = Some(back);
                    None
                }
                Err((QueueError::Broken, back)) => Some(Err(back)),
            }
        })
    }

    /// In interrupt context: takes back what is done.
    fn complete(&self) {
        let mut queue = self.queue.lock_irq();
        loop {
            match queue.pop() {
                Ok(Some((request, _))) => request.finish(),
                Ok(None) => return,
                Err(_) => break,
            }
        }
        for request in queue.drain() {
            request.abandon();
        }
        drop(queue);
        self.room.wake_all();
    }
}

impl Data {
    /// What the device is given of the pages.
    fn buffers(&self) -> impl Iterator<Item = Buffer> {
        (0..self.len).step_by(PAGE_SIZE).enumerate().map(|(index, start)| Buffer {
            device_address: self.stream.device_address(index),
            len: (self.len - start).min(PAGE_SIZE) as u32,
        })
    }
}

impl Request {
    fn finish(mut self) {
        if let Some(stream) = self.stream.take() {
            drop(stream.finish());
        }
        self.end(DONE);
    }

    /// The device may still write to what it was given: the pages and the slot are never used again.
    fn abandon(mut self) {
        log::warn!("a virtio device is broken: its request in slot {} is lost", self.slot);
        core::mem::forget(self.stream.take());
        self.end(LOST);
    }

    fn end(self, state: u8) {
        self.outcome.state.store(state, Ordering::Release);
        self.outcome.queue.wake_all();
    }
}
