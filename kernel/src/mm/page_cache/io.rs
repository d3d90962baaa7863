//! read(2) and write(2): bytes straight between frames and readers or writers.

use super::{Cache, PageCache};
use crate::error::{Errno, Result};
use crate::mm::frames;
use core::sync::atomic::Ordering;
use ostd::mm::{PAGE_SIZE, UFrame, VmReader, VmWriter};

impl PageCache {
    /// Copies from `offset` on, at most to `size` (the file's), into `writer`.
    ///
    /// # Errors
    /// EFAULT, or what the backing says, if not a single byte went.
    pub fn read_at(&self, offset: u64, size: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let end = size.min(offset.saturating_add(writer.remaining() as u64));
        let mut at = offset;
        while at < end {
            let (index, start) = split(at);
            let len = (PAGE_SIZE - start).min((end - at) as usize);
            let copied = match self.page(index) {
                Ok(Some(frame)) => frame.read_to(start, len, writer).map_err(Into::into),
                Ok(None) => writer.write_zeros(len).map_err(Into::into),
                Err(error) => Err(error),
            };
            match copied {
                Ok(copied) => at += copied as u64,
                Err(error) if at == offset => return Err(error),
                Err(_) => break,
            }
            if copied.is_ok_and(|copied| copied < len) {
                break;
            }
        }
        Ok(at.saturating_sub(offset) as usize)
    }

    /// Copies all of `reader` to `offset` and moves [`Self::size`] to the end of what was written if that is further.
    ///
    /// # Errors
    /// EFAULT, ENOMEM or what the backing says, if not a single byte came.
    pub fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let old_size = self.size();
        if offset > old_size && reader.remaining() > 0 {
            self.clear_tail(old_size);
        }
        let mut at = offset;
        while reader.remaining() > 0 {
            let (index, start) = split(at);
            let len = (PAGE_SIZE - start).min(reader.remaining());
            match self.0.write_page(self, index, start, len, reader) {
                Ok(copied) => {
                    at += copied as u64;
                    self.0.size.fetch_max(at, Ordering::AcqRel);
                    if copied < len {
                        break;
                    }
                }
                Err(error) if at == offset => return Err(error),
                Err(_) => break,
            }
        }
        Ok((at - offset) as usize)
    }

    /// Zeroes what a mapping may have left behind the end of the file in its last page, before that becomes part of the file.
    pub(super) fn clear_tail(&self, size: u64) {
        let (index, start) = split(size);
        if start > 0
            && let Some(frame) = self.0.find(index)
        {
            frame.zero(start..PAGE_SIZE);
        }
    }
}

impl Cache {
    fn write_page(
        &self,
        cache: &PageCache,
        index: usize,
        start: usize,
        len: usize,
        reader: &mut VmReader<'_>,
    ) -> Result<usize> {
        if let Some(frame) = self.find_for_write(index) {
            return Ok(frame.write_from(start, len, reader)?);
        }
        if len < PAGE_SIZE || self.backing.is_some() {
            return Ok(cache.page_for_write(index)?.write_from(start, len, reader)?);
        }
        // A whole new page: fill it before anybody sees it, which saves clearing it.
        let frame = frames::dirty()?;
        let copied = frame.write_from(0, PAGE_SIZE, reader)?;
        if copied == 0 {
            return Err(Errno::EFAULT.into());
        }
        frame.zero(copied..PAGE_SIZE);
        let (page, is_ours) = self.insert(index, frame.clone());
        if !is_ours {
            copy_start(&page, &frame, copied);
        }
        Ok(copied)
    }
}

/// Copies the first `len` bytes.
fn copy_start(to: &UFrame, from: &UFrame, len: usize) {
    if len == PAGE_SIZE {
        return to.copy_from(from);
    }
    let mut buffer = [0; 256];
    for start in (0..len).step_by(buffer.len()) {
        let part = (len - start).min(buffer.len());
        from.read(start, &mut buffer[..part]);
        to.write(start, &buffer[..part]);
    }
}

/// Page index and offset in the page.
pub(super) fn split(at: u64) -> (usize, usize) {
    ((at / PAGE_SIZE as u64) as usize, (at % PAGE_SIZE as u64) as usize)
}
