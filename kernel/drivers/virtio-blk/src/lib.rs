//! virtio-blk (virtio 1.2, 5.2): one queue, interrupts, whole pages straight between the device and frames.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_block::{BlockDevice, BlockError, SECTOR_SIZE};
use coffer_virtio::{Data, Device, Error, Lost, Requests, Shape};
use core::fmt;
use ostd::mm::dma::{Direction, DmaStream};
use ostd::mm::{PAGE_SIZE, UFrame};
use ostd::pci::Function;

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

/// Pages in one request at most.
const PAGES_PER_REQUEST: usize = 32;
const HEADER_LEN: usize = 16;
const STATUS_LEN: usize = 1;

/// A virtio disk.
pub struct VirtioBlk {
    requests: Requests,
    pages_per_request: usize,
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
        let shape =
            Shape { head_len: HEADER_LEN, answer_len: SERIAL_LEN + STATUS_LEN, is_answer_first: false };
        let requests = Requests::new(&device, 0, shape)?;
        let pages_per_request = requests.page_limit().min(PAGES_PER_REQUEST);
        if pages_per_request == 0 {
            return Err(Error::Protocol);
        }
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
            requests,
            pages_per_request,
            _device: device,
        };
        disk.serial = disk.read_serial();
        Ok(Arc::new(disk))
    }

    fn read_serial(&self) -> Vec<u8> {
        match self.request::<{ SERIAL_LEN + STATUS_LEN }>(TYPE_GET_ID, 0, None) {
            Ok(answer) => {
                answer[..SERIAL_LEN].iter().copied().take_while(|byte| byte.is_ascii_graphic()).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Runs `frames` through requests of bounded size; the part past the device's end is left out.
    fn transfer(&self, kind: u32, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
        for (index, chunk) in frames.chunks(self.pages_per_request).enumerate() {
            let at = sector + (index * self.pages_per_request) as u64 * SECTORS_PER_PAGE;
            let left = self.sectors.checked_sub(at).filter(|left| *left > 0).ok_or(BlockError::OutOfRange)?;
            let bytes =
                left.saturating_mul(SECTOR_SIZE as u64).min((chunk.len() * PAGE_SIZE) as u64) as usize;
            let pages = bytes.div_ceil(PAGE_SIZE);
            let (inside, outside) = chunk.split_at(pages);
            let direction = if kind == TYPE_IN { Direction::FromDevice } else { Direction::ToDevice };
            let stream = DmaStream::new(inside.to_vec(), direction).map_err(|_| BlockError::NoMemory)?;
            self.request::<STATUS_LEN>(kind, at, Some(Data { stream, len: bytes, direction }))?;
            if kind == TYPE_IN {
                if !bytes.is_multiple_of(PAGE_SIZE) {
                    inside[pages - 1].zero(bytes % PAGE_SIZE..PAGE_SIZE);
                }
                outside.iter().for_each(|frame| frame.zero(0..PAGE_SIZE));
            }
        }
        Ok(())
    }

    /// Sends one request (5.2.6) and sleeps until it is done; gives what the device writes beside the data, of which the last byte is its status.
    fn request<const ANSWER_LEN: usize>(
        &self,
        kind: u32,
        sector: u64,
        data: Option<Data>,
    ) -> Result<[u8; ANSWER_LEN], BlockError> {
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        let mut answer = [0; ANSWER_LEN];
        self.requests.send(&header, data, &mut answer).map_err(|Lost| BlockError::Device)?;
        if answer.last() == Some(&STATUS_OK) { Ok(answer) } else { Err(BlockError::Device) }
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
        if self.has_flush {
            self.request::<STATUS_LEN>(TYPE_FLUSH, 0, None)?;
        }
        Ok(())
    }

    fn serial(&self) -> &[u8] {
        &self.serial
    }
}
