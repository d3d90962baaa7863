//! virtio-scsi (virtio 1.2, 5.6): a host adapter whose disks are found by asking every target.
//!
//! What is sent and what is believed of the answers is in `kernel/libs/scsi`. One request queue, as virtio-blk has one; the control and event
//! queues are set up, as the device wants it, and not used: disks neither come nor go while the machine runs, and a request is never aborted.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod host;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use coffer_block::{BlockDevice, BlockError, SECTOR_SIZE};
use coffer_scsi::answer::{self, Capacity};
use coffer_scsi::{Command, wire};
use coffer_virtio::{Data, Error};
use ostd::mm::dma::{Direction, DmaStream};
use ostd::mm::{PAGE_SIZE, UFrame};
use ostd::pci::Function;

use host::{Failure, Host, PAGES_PER_REQUEST};

/// Disks of one adapter.
const DISK_LIMIT: usize = 64;
/// Units of one target.
const UNIT_LIMIT: usize = 16;
/// How often a unit may say that something has happened before it does what it is told.
const ATTENTION_LIMIT: usize = 4;
/// What fits one byte of an allocation length.
const SHORT_ANSWER: usize = 255;

/// A disk behind an adapter.
pub struct ScsiDisk {
    host: Arc<Host>,
    address: [u8; 8],
    capacity: Capacity,
    is_read_only: bool,
    serial: Vec<u8>,
}

impl fmt::Debug for ScsiDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScsiDisk")
            .field("address", &self.address)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// Brings an adapter up and gives its disks.
///
/// # Errors
/// [`Error`].
pub fn bring_up(function: Function) -> Result<Vec<Arc<ScsiDisk>>, Error> {
    let host = Host::new(function)?;
    let mut disks = Vec::new();
    for target in 0..=host.last_target() {
        match ScsiDisk::units(&host, target) {
            Ok(units) => {
                let found =
                    units.into_iter().filter_map(|unit| ScsiDisk::find(&host, target, unit).ok().flatten());
                disks.extend(found.map(Arc::new));
            }
            Err(Failure::Lost) => return Err(Error::Protocol),
            // A target that there is not.
            Err(_) => {}
        }
        if disks.len() >= DISK_LIMIT {
            break;
        }
    }
    disks.truncate(DISK_LIMIT);
    Ok(disks)
}

impl ScsiDisk {
    /// The units of a target: what it lists, or unit 0 if it cannot.
    fn units(host: &Arc<Host>, target: u8) -> Result<Vec<u16>, Failure> {
        let first = wire::address(target, 0);
        // Asked first, because a device may answer the list for targets that it does not have.
        ask(host, first, &Command::inquiry(answer::INQUIRY_LEN as u8), answer::INQUIRY_LEN)?;
        match ask(host, first, &Command::report_luns(PAGE_SIZE as u32), PAGE_SIZE) {
            Ok(list) => Ok(answer::units(&list, UNIT_LIMIT)),
            Err(Failure::Refused) => Ok(Vec::from([0])),
            Err(failure) => Err(failure),
        }
    }

    /// A unit, if it is a disk whose form is supported.
    fn find(host: &Arc<Host>, target: u8, unit: u16) -> Result<Option<Self>, Failure> {
        let address = wire::address(target, unit);
        let inquiry = ask(host, address, &Command::inquiry(answer::INQUIRY_LEN as u8), answer::INQUIRY_LEN)?;
        if !answer::is_disk(&inquiry) {
            return Ok(None);
        }
        ask(host, address, &Command::test_unit_ready(), 0)?;
        let capacity =
            ask(host, address, &Command::read_capacity(answer::CAPACITY_LEN as u32), answer::CAPACITY_LEN)?;
        let Some(capacity) = answer::capacity(&capacity) else {
            log::warn!("virtio-scsi: unit {unit} of target {target} has a form that is not supported");
            return Ok(None);
        };
        // Both are optional.
        let mode =
            ask(host, address, &Command::mode_sense(SHORT_ANSWER as u8), SHORT_ANSWER).unwrap_or_default();
        let serial = ask(host, address, &Command::inquire_serial(SHORT_ANSWER as u8), SHORT_ANSWER)
            .unwrap_or_default();
        Ok(Some(Self {
            host: host.clone(),
            address,
            capacity,
            is_read_only: answer::is_protected(&mode),
            serial: answer::serial(&serial),
        }))
    }

    /// Runs `frames` through commands of bounded size; the part past the disk's end is left out.
    fn transfer(
        &self,
        direction: Direction,
        sector: u64,
        frames: &[UFrame],
        command: impl Fn(u64, u32) -> Command,
    ) -> Result<(), BlockError> {
        const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
        let Capacity { sectors, block_shift } = self.capacity;
        let step = self.host.pages_per_request();
        for (index, chunk) in frames.chunks(step).enumerate() {
            let at = sector + (index * step) as u64 * SECTORS_PER_PAGE;
            let left = sectors.checked_sub(at).filter(|left| *left > 0).ok_or(BlockError::OutOfRange)?;
            let bytes =
                left.saturating_mul(SECTOR_SIZE as u64).min((chunk.len() * PAGE_SIZE) as u64) as usize;
            let pages = bytes.div_ceil(PAGE_SIZE);
            let (inside, outside) = chunk.split_at(pages);
            // Pages are whole numbers of blocks, and so is the disk.
            let command = command((at * SECTOR_SIZE as u64) >> block_shift, (bytes >> block_shift) as u32);
            let transferred = persist(|| {
                let stream = DmaStream::new(inside.to_vec(), direction).map_err(|_| Failure::NoMemory)?;
                self.host.run(self.address, &command, Some(Data { stream, len: bytes, direction }))
            })?;
            if transferred != bytes {
                return Err(BlockError::Device);
            }
            if direction == Direction::FromDevice {
                if !bytes.is_multiple_of(PAGE_SIZE) {
                    inside[pages - 1].zero(bytes % PAGE_SIZE..PAGE_SIZE);
                }
                outside.iter().for_each(|frame| frame.zero(0..PAGE_SIZE));
            }
        }
        Ok(())
    }
}

/// Sends a command and gives the first `len` bytes, or less, of what the unit answers.
fn ask(host: &Arc<Host>, address: [u8; 8], command: &Command, len: usize) -> Result<Vec<u8>, Failure> {
    let frame = UFrame::alloc_zeroed().map_err(|_| Failure::NoMemory)?;
    let transferred = persist(|| {
        let data = if len == 0 {
            None
        } else {
            let direction = Direction::FromDevice;
            let stream =
                DmaStream::new(Vec::from([frame.clone()]), direction).map_err(|_| Failure::NoMemory)?;
            Some(Data { stream, len, direction })
        };
        host.run(address, command, data)
    })?;
    let mut answer = alloc::vec![0; transferred.min(PAGE_SIZE)];
    frame.read(0, &mut answer);
    Ok(answer)
}

/// Tries again when the unit has had something else to say.
fn persist<T>(mut run: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTENTION_LIMIT {
        match run() {
            Err(Failure::Attention) => {}
            result => return result,
        }
    }
    run()
}

impl From<Failure> for BlockError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoMemory => Self::NoMemory,
            _ => Self::Device,
        }
    }
}

impl BlockDevice for ScsiDisk {
    fn sectors(&self) -> u64 {
        self.capacity.sectors
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn block_size(&self) -> usize {
        1 << self.capacity.block_shift
    }

    fn read_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        self.transfer(Direction::FromDevice, sector, frames, Command::read)
    }

    fn write_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        if self.is_read_only {
            return Err(BlockError::ReadOnly);
        }
        self.transfer(Direction::ToDevice, sector, frames, Command::write)
    }

    fn flush(&self) -> Result<(), BlockError> {
        if !self.is_read_only {
            persist(|| self.host.run(self.address, &Command::synchronize_cache(), None))?;
        }
        Ok(())
    }

    fn serial(&self) -> &[u8] {
        &self.serial
    }
}

const _: () = assert!(PAGES_PER_REQUEST * PAGE_SIZE / SECTOR_SIZE <= u16::MAX as usize);
