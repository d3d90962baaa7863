//! NVMe controllers on PCI (NVM Express Base Specification 2.0; PCIe Transport 1.0): every namespace is a disk.
//!
//! What is said to a controller and what is believed of its answers is in `kernel/libs/nvme`, which runs on the host against a simulated one;
//! here it is joined to registers, memory and interrupts. [`device`] brings a controller up, and up again when it has stopped answering;
//! [`queue`] sends commands and waits for them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod queue;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use coffer_block::{BlockDevice, BlockError, SECTOR_SIZE};
use coffer_nvme_protocol::identify::Namespace;
use coffer_nvme_protocol::{Command, Fault, Pages};
use ostd::mm::dma::{Direction, DmaStream};
use ostd::mm::{PAGE_SIZE, UFrame};
use ostd::pci::Function;

use device::Device;
use queue::PAGES_PER_REQUEST;

/// Mass storage, non-volatile memory, NVM Express.
const CLASS: (u8, u8, u8) = (1, 8, 2);

/// Namespaces of one controller that become disks.
const NAMESPACE_LIMIT: usize = 16;

/// Why a controller cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not do what is needed, or did not come up.
    Controller(Fault),
    /// It refused or lost a command that it must do.
    Command,
    /// No registers, interrupt or memory for it.
    Resource,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Controller(fault)
    }
}

impl From<ostd::Error> for Error {
    fn from(_: ostd::Error) -> Self {
        Self::Resource
    }
}

/// A namespace of a controller.
pub struct NvmeDisk {
    device: Arc<Device>,
    id: u32,
    namespace: Namespace,
}

impl fmt::Debug for NvmeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NvmeDisk")
            .field("id", &self.id)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Whether `function` is such a controller.
pub fn probe(function: &Function) -> bool {
    function.class().is(CLASS)
}

/// Brings a controller up and gives its disks.
///
/// # Errors
/// [`Error`].
pub fn bring_up(function: Function) -> Result<Vec<Arc<NvmeDisk>>, Error> {
    let device = Device::new(function)?;
    let mut disks = Vec::new();
    for id in device.namespaces(NAMESPACE_LIMIT)? {
        match device.namespace(id)? {
            Some(namespace) => disks.push(Arc::new(NvmeDisk { device: device.clone(), id, namespace })),
            None => log::warn!("nvme: namespace {id} has a form that is not supported"),
        }
    }
    Ok(disks)
}

impl NvmeDisk {
    /// Its namespace's identifier, from 1.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Runs `frames` through commands of bounded size; the part past the device's end is left out.
    fn transfer(
        &self,
        direction: Direction,
        sector: u64,
        frames: &[UFrame],
        command: impl Fn(u32, u64, u16, Pages) -> Command,
    ) -> Result<(), BlockError> {
        const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
        let Namespace { sectors, block_shift, .. } = self.namespace;
        let step = self.device.pages_per_command().min(PAGES_PER_REQUEST);
        for (index, chunk) in frames.chunks(step).enumerate() {
            let at = sector + (index * step) as u64 * SECTORS_PER_PAGE;
            let left = sectors.checked_sub(at).filter(|left| *left > 0).ok_or(BlockError::OutOfRange)?;
            let bytes =
                left.saturating_mul(SECTOR_SIZE as u64).min((chunk.len() * PAGE_SIZE) as u64) as usize;
            let pages = bytes.div_ceil(PAGE_SIZE);
            let (inside, outside) = chunk.split_at(pages);
            let stream = DmaStream::new(inside.to_vec(), direction).map_err(|_| BlockError::NoMemory)?;
            // Pages are whole numbers of blocks, and so is the namespace.
            let (block, blocks) = ((at * SECTOR_SIZE as u64) >> block_shift, (bytes >> block_shift) as u16);
            self.device.run(Some((stream, pages)), |pages| command(self.id, block, blocks, pages))?;
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

impl BlockDevice for NvmeDisk {
    fn sectors(&self) -> u64 {
        self.namespace.sectors
    }

    fn is_read_only(&self) -> bool {
        self.namespace.is_read_only
    }

    fn block_size(&self) -> usize {
        1 << self.namespace.block_shift
    }

    fn read_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        self.transfer(Direction::FromDevice, sector, frames, Command::read)
    }

    fn write_pages(&self, sector: u64, frames: &[UFrame]) -> Result<(), BlockError> {
        if self.is_read_only() {
            return Err(BlockError::ReadOnly);
        }
        self.transfer(Direction::ToDevice, sector, frames, Command::write)
    }

    fn flush(&self) -> Result<(), BlockError> {
        if !self.device.has_cache() {
            return Ok(());
        }
        self.device.run(None, |_| Command::flush(self.id))
    }

    fn serial(&self) -> &[u8] {
        self.device.serial()
    }
}
