//! The adapter: its queues, and commands that sleep until they are done.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use coffer_scsi::Command;
use coffer_scsi::wire::{self, Ending, REQUEST_LEN, RESPONSE_LEN};
use coffer_virtio::{Data, Device, Error, Lost, Queue, Requests, Shape};
use ostd::mm::PAGE_SIZE;
use ostd::pci::Function;

/// Offsets in the device's configuration (5.6.4).
mod config {
    pub(super) const SEG_MAX: usize = 4;
    pub(super) const MAX_SECTORS: usize = 8;
    pub(super) const MAX_TARGET: usize = 30;
}

const CONTROL_QUEUE: u16 = 0;
const EVENT_QUEUE: u16 = 1;
const REQUEST_QUEUE: u16 = 2;

/// Entries of the queues that are not used.
const IDLE_QUEUE_SIZE: u16 = 16;
/// Pages in one request at most.
pub(crate) const PAGES_PER_REQUEST: usize = 32;

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

/// An adapter that is up.
pub(crate) struct Host {
    requests: Requests,
    next_tag: AtomicU64,
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
        let idle = [
            device.queue(CONTROL_QUEUE, IDLE_QUEUE_SIZE, None)?,
            device.queue(EVENT_QUEUE, IDLE_QUEUE_SIZE, None)?,
        ];
        let shape = Shape { head_len: REQUEST_LEN, answer_len: RESPONSE_LEN, is_answer_first: true };
        let requests = Requests::new(&device, REQUEST_QUEUE, shape)?;
        device.start();
        let config = device.config();
        let segments = u32::from_le_bytes(config.read(config::SEG_MAX)) as usize;
        let sectors = u32::from_le_bytes(config.read(config::MAX_SECTORS)) as usize;
        let max_target = u16::from_le_bytes(config.read(config::MAX_TARGET));
        let pages =
            segments.min(sectors / (PAGE_SIZE / 512)).min(requests.page_limit()).min(PAGES_PER_REQUEST);
        if pages == 0 {
            return Err(Error::Protocol);
        }
        Ok(Arc::new(Self {
            requests,
            next_tag: AtomicU64::new(0),
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
        data: Option<Data>,
    ) -> Result<usize, Failure> {
        let bytes = data.as_ref().map_or(0, |data| data.len);
        let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
        let mut response = [0; RESPONSE_LEN];
        self.requests
            .send(&wire::request(address, tag, command), data, &mut response)
            .map_err(|Lost| Failure::Lost)?;
        match wire::response(&response) {
            // A device that misses more than there was has moved nothing.
            Ending::Good { missing } => Ok(bytes.saturating_sub(missing as usize)),
            Ending::Attention => Err(Failure::Attention),
            Ending::Refused => Err(Failure::Refused),
            Ending::Absent => Err(Failure::Absent),
        }
    }
}
