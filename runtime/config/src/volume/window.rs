//! [`Window`]: a disk, read block by block, and only so much of it.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Read at a time, in bytes.
const BLOCK: usize = 4096;

/// How many blocks are read at most. A volume with the largest configuration needs less than 100.
const BUDGET: u32 = 4096;

/// A disk as `fatfs` wants it; writing fails.
#[derive(Debug)]
pub struct Window<D> {
    disk: D,
    position: u64,
    block: Vec<u8>,
    /// The position of what is in `block`.
    block_start: Option<u64>,
    blocks_left: u32,
}

impl<D: Read + Seek> Window<D> {
    pub fn new(disk: D) -> Self {
        Self { disk, position: 0, block: Vec::new(), block_start: None, blocks_left: BUDGET }
    }

    /// Fills `buffer` from the position `at`. False when the disk ends before.
    pub fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<bool> {
        self.position = at;
        match self.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn load(&mut self, start: u64) -> io::Result<()> {
        self.blocks_left = self
            .blocks_left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("the volume is read in circles, or too large"))?;
        self.block_start = None;
        self.block.clear();
        self.disk.seek(SeekFrom::Start(start))?;
        self.disk.by_ref().take(BLOCK as u64).read_to_end(&mut self.block)?;
        self.block_start = Some(start);
        Ok(())
    }
}

impl<D: Read + Seek> Read for Window<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.position - self.position % BLOCK as u64;
        if self.block_start != Some(start) {
            self.load(start)?;
        }
        let within = usize::try_from(self.position - start).unwrap_or(BLOCK);
        let count = self.block.get(within..).unwrap_or_default().read(buffer)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl<D: Read + Seek> Seek for Window<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(_) => None,
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl<D> Write for Window<D> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
