//! Disks as files: a page cache in front of a [`BlockDevice`], shared by all who open the node.

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::{FileOps, OpenFile, flags};
use crate::mm::page_cache::{PageBacking, PageCache};
use crate::syscall::UserPtr;
use alloc::sync::Arc;
use coffer_block::{BlockDevice, BlockError, SECTOR_SIZE};
use ostd::mm::{PAGE_SIZE, UFrame, VmReader, VmWriter};

/// Capacity in 512-byte sectors.
const BLKGETSIZE: u32 = 0x1260;
/// Whether it is read-only.
const BLKROGET: u32 = 0x125e;
/// Drop the cache.
const BLKFLSBUF: u32 = 0x1261;
/// Logical sector size.
const BLKSSZGET: u32 = 0x1268;
/// Block size of the cache.
const BLKBSZGET: u32 = 0x8008_1270;
/// Capacity in bytes.
const BLKGETSIZE64: u32 = 0x8008_1272;
/// Physical sector size.
const BLKPBSZGET: u32 = 0x127b;
/// Preferred I/O size.
const BLKIOOPT: u32 = 0x1279;

/// A disk with its cached pages.
#[derive(Debug)]
pub struct BlockNode {
    disk: Arc<dyn BlockDevice>,
    cache: PageCache,
}

/// An opening of it.
#[derive(Debug)]
pub struct BlockFile {
    node: Arc<BlockNode>,
}

#[derive(Debug)]
struct DiskPages {
    disk: Arc<dyn BlockDevice>,
}

impl PageBacking for DiskPages {
    fn fill(&self, index: usize, frame: &UFrame) -> Result<()> {
        self.disk.read_pages(first_sector(index), core::slice::from_ref(frame)).map_err(errno)
    }

    fn fill_many(&self, first: usize, frames: &[UFrame]) -> Result<()> {
        self.disk.read_pages(first_sector(first), frames).map_err(errno)
    }

    fn write_back(&self, index: usize, frame: &UFrame) -> Result<()> {
        self.disk.write_pages(first_sector(index), core::slice::from_ref(frame)).map_err(errno)
    }
}

impl BlockNode {
    /// In front of `disk`.
    pub fn new(disk: Arc<dyn BlockDevice>) -> Arc<Self> {
        let size = disk.sectors() * SECTOR_SIZE as u64;
        let cache = PageCache::backed(Arc::new(DiskPages { disk: disk.clone() }), size);
        Arc::new(Self { disk, cache })
    }

    /// The disk.
    pub fn disk(&self) -> &Arc<dyn BlockDevice> {
        &self.disk
    }

    /// Capacity in bytes.
    pub fn size(&self) -> u64 {
        self.disk.sectors() * SECTOR_SIZE as u64
    }

    /// Opens it.
    ///
    /// # Errors
    /// EROFS for writing to a disk that only reads.
    pub fn open(self: Arc<Self>, open_flags: u32) -> Result<Arc<dyn FileOps>> {
        if open_flags & flags::O_ACCMODE != flags::O_RDONLY && self.disk.is_read_only() {
            return Err(Errno::EROFS.into());
        }
        Ok(Arc::new(BlockFile { node: self }))
    }

    /// Writes dirty pages back and makes them durable.
    pub fn sync(&self) -> Result<()> {
        self.cache.sync()?;
        self.disk.flush().map_err(errno)
    }

    fn write(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let room = self.size().saturating_sub(offset);
        if room == 0 && reader.remaining() > 0 {
            return Err(Errno::ENOSPC.into());
        }
        reader.limit(usize::try_from(room).unwrap_or(usize::MAX));
        self.cache.write_at(offset, reader)
    }
}

impl FileOps for BlockFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut position = file.position().lock();
        let len = self.node.cache.read_at(*position, self.node.size(), writer)?;
        *position += len as u64;
        Ok(len)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let mut position = file.position().lock();
        let len = self.node.write(*position, reader)?;
        *position += len as u64;
        Ok(len)
    }

    fn read_at(&self, _file: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.node.cache.read_at(offset, self.node.size(), writer)
    }

    fn write_at(&self, _file: &OpenFile, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.node.write(offset, reader)
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        let mut position = file.position().lock();
        let base = match whence {
            0 => 0,
            1 => *position,
            2 => self.node.size(),
            _ => return Err(Errno::EINVAL.into()),
        };
        let target =
            i64::try_from(base).ok().and_then(|base| base.checked_add(offset)).ok_or(Errno::EOVERFLOW)?;
        *position = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        Ok(*position)
    }

    fn sync(&self, _file: &OpenFile) -> Result<()> {
        self.node.sync()
    }

    fn ioctl(&self, _file: &OpenFile, command: u32, argument: usize, _: &mut Context<'_>) -> Result<isize> {
        let node = &self.node;
        match command {
            BLKGETSIZE => UserPtr::<u64>::new(argument).write(&node.disk.sectors())?,
            BLKGETSIZE64 => UserPtr::<u64>::new(argument).write(&node.size())?,
            BLKSSZGET => UserPtr::<i32>::new(argument).write(&(SECTOR_SIZE as i32))?,
            BLKBSZGET => UserPtr::<i32>::new(argument).write(&(PAGE_SIZE as i32))?,
            BLKPBSZGET | BLKIOOPT => UserPtr::<u32>::new(argument).write(&(node.disk.block_size() as u32))?,
            BLKROGET => UserPtr::<i32>::new(argument).write(&i32::from(node.disk.is_read_only()))?,
            BLKFLSBUF => node.sync()?,
            _ => return Err(Errno::ENOTTY.into()),
        }
        Ok(0)
    }

    fn page_cache<'a>(&'a self, _file: &'a OpenFile) -> Result<&'a PageCache> {
        Ok(&self.node.cache)
    }

    fn release(&self, _file: &OpenFile) {
        if !self.node.disk.is_read_only()
            && let Err(error) = self.node.sync()
        {
            log::warn!("block: writing back at close: {error:?}");
        }
    }
}

fn first_sector(page: usize) -> u64 {
    (page * (PAGE_SIZE / SECTOR_SIZE)) as u64
}

fn errno(error: BlockError) -> Error {
    Error::new(match error {
        BlockError::Device => Errno::EIO,
        BlockError::OutOfRange => Errno::ENOSPC,
        BlockError::ReadOnly => Errno::EROFS,
        BlockError::NoMemory => Errno::ENOMEM,
    })
}
