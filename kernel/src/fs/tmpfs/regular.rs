//! The contents of a regular file: its page cache, within the instance's limit.

use super::Tmpfs;
use crate::error::{Errno, Result};
use crate::mm::page_cache::PageCache;
use crate::thread::Thread;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};
use ostd::sync::Mutex;

/// The largest file: offsets are signed.
const SIZE_MAX: u64 = i64::MAX as u64;

const FALLOC_FL_KEEP_SIZE: u32 = 1;
const FALLOC_FL_PUNCH_HOLE: u32 = 2;
const FALLOC_FL_ZERO_RANGE: u32 = 16;

/// Contents.
#[derive(Debug)]
pub struct Regular {
    cache: PageCache,
    /// Held by writers and truncation, so that appends and sizes are exact; the value is how many pages the instance has counted for
    /// this file. Pages that a mapping brings in are counted with the next write.
    counted_pages: Mutex<usize>,
}

impl Regular {
    /// Empty.
    pub fn new() -> Self {
        Self { cache: PageCache::in_memory(), counted_pages: Mutex::new(0) }
    }

    /// The pages.
    pub fn cache(&self) -> &PageCache {
        &self.cache
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.cache.size()
    }

    /// 512-byte blocks in use.
    pub fn blocks(&self) -> u64 {
        (self.cache.resident_pages() * (PAGE_SIZE / 512)) as u64
    }

    /// The file goes away: gives its pages back to the instance's count.
    pub fn release(&mut self, fs: &Tmpfs) {
        fs.pages_changed(*self.counted_pages.get_mut(), 0);
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read_at(&self, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.cache.read_at(offset, self.cache.size(), writer)
    }

    /// Writes at `offset`, or at the end; how much, and the position after it.
    ///
    /// # Errors
    /// EFBIG, ENOSPC at the instance's limit, EFAULT, ENOMEM.
    pub fn write(&self, fs: &Tmpfs, offset: Option<u64>, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        let mut counted_pages = self.counted_pages.lock();
        let offset = offset.unwrap_or_else(|| self.cache.size());
        if reader.remaining() == 0 {
            return Ok((0, offset));
        }
        if offset >= SIZE_MAX {
            return Err(Errno::EFBIG.into());
        }
        reader.limit(usize::try_from(SIZE_MAX - offset).unwrap_or(usize::MAX));
        self.limit_to_free_pages(fs, offset, reader)?;
        let result = self.cache.write_at(offset, reader);
        self.count_pages(fs, &mut counted_pages);
        result.map(|written| (written, offset + written as u64))
    }

    /// Cuts or extends.
    ///
    /// # Errors
    /// EFBIG.
    pub fn set_size(&self, fs: &Tmpfs, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG.into());
        }
        let mut counted_pages = self.counted_pages.lock();
        self.cache.truncate(size);
        self.count_pages(fs, &mut counted_pages);
        Ok(())
    }

    /// The next data or hole.
    ///
    /// # Errors
    /// ENXIO past the end, and when no data follows.
    pub fn seek_data(&self, from: u64, hole: bool) -> Result<u64> {
        let size = self.size();
        if from >= size {
            return Err(Errno::ENXIO.into());
        }
        let page = (from / PAGE_SIZE as u64) as usize;
        let found = self.cache.next_with(page, !hole).map(|page| page as u64 * PAGE_SIZE as u64);
        match found {
            Some(found) if found < size => Ok(from.max(found)),
            _ if hole => Ok(size),
            _ => Err(Errno::ENXIO.into()),
        }
    }

    /// fallocate(2).
    ///
    /// # Errors
    /// EFBIG, ENOSPC, ENOMEM.
    pub fn allocate(&self, fs: &Tmpfs, mode: u32, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|&end| end <= SIZE_MAX).ok_or(Errno::EFBIG)?;
        let mut counted_pages = self.counted_pages.lock();
        let is_punch = mode & FALLOC_FL_PUNCH_HOLE != 0;
        if is_punch || mode & FALLOC_FL_ZERO_RANGE != 0 {
            self.cache.punch(offset, end);
            self.count_pages(fs, &mut counted_pages);
        }
        if is_punch {
            return Ok(());
        }
        let result = self.bring_in(fs, offset, end);
        self.count_pages(fs, &mut counted_pages);
        result?;
        if mode & FALLOC_FL_KEEP_SIZE == 0 && end > self.size() {
            self.cache.truncate(end);
        }
        Ok(())
    }

    fn bring_in(&self, fs: &Tmpfs, start: u64, end: u64) -> Result<()> {
        let pages = (start / PAGE_SIZE as u64) as usize..end.div_ceil(PAGE_SIZE as u64) as usize;
        // What the instance and, without a limit, the machine has. Said before the pages are looked at one by one: a range may have 2^51.
        let free = fs.free_pages().min(ostd::mm::stats().total);
        if pages.len().saturating_sub(self.cache.resident_pages()) > free {
            return Err(Errno::ENOSPC.into());
        }
        let missing = pages.clone().filter(|&page| !self.cache.is_resident(page));
        if missing.take(free.saturating_add(1)).count() > free {
            return Err(Errno::ENOSPC.into());
        }
        for page in pages {
            // Who is being killed, maybe for the memory that this takes, leaves.
            if Thread::current().is_some_and(|thread| thread.is_dying()) {
                return Err(Errno::EINTR.into());
            }
            self.cache.page_for_write(page)?;
        }
        Ok(())
    }

    /// Shortens a write to what the instance's limit leaves; ENOSPC if that is nothing.
    fn limit_to_free_pages(&self, fs: &Tmpfs, offset: u64, reader: &mut VmReader<'_>) -> Result<()> {
        let first = (offset / PAGE_SIZE as u64) as usize;
        let last = ((offset + reader.remaining() as u64 - 1) / PAGE_SIZE as u64) as usize;
        let mut free = fs.free_pages();
        if last - first < free {
            return Ok(());
        }
        let first_without_room = (first..=last).find(|&page| {
            let is_new = !self.cache.is_resident(page);
            let fits = !is_new || free > 0;
            free -= usize::from(is_new && fits);
            !fits
        });
        let Some(page) = first_without_room else { return Ok(()) };
        let room = (page as u64 * PAGE_SIZE as u64).saturating_sub(offset);
        if room == 0 {
            return Err(Errno::ENOSPC.into());
        }
        reader.limit(room as usize);
        Ok(())
    }

    fn count_pages(&self, fs: &Tmpfs, counted_pages: &mut usize) {
        let now = self.cache.resident_pages();
        fs.pages_changed(*counted_pages, now);
        *counted_pages = now;
    }
}
