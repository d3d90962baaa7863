//! Access to the memory of a process that is not the current one: /proc/PID/{mem,cmdline,environ}, process_vm_readv(2), and a loader that
//! fills a new address space.

use super::AddressSpace;
use super::fault::Access;
use crate::error::{Errno, Result};
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame, Vaddr, VmReader, VmWriter, page_down};

impl AddressSpace {
    /// Copies from `address` on into `writer`; returns how many bytes went before something was not mapped.
    ///
    /// # Errors
    /// EFAULT if not a single byte could go; ENOMEM.
    pub fn read_remote(&self, address: Vaddr, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.each_page(address, writer.remaining(), Access::Read, |frame, offset, len| {
            Ok(frame.read_to(offset, len, writer)?)
        })
    }

    /// Copies all of `reader` to `address`; returns how many bytes came before something could not be written.
    ///
    /// # Errors
    /// As [`Self::read_remote`].
    pub fn write_remote(&self, address: Vaddr, reader: &mut VmReader<'_>) -> Result<usize> {
        self.each_page(address, reader.remaining(), Access::Write, |frame, offset, len| {
            Ok(frame.write_from(offset, len, reader)?)
        })
    }

    fn each_page(
        &self,
        start: Vaddr,
        len: usize,
        access: Access,
        mut copy: impl FnMut(&UFrame, usize, usize) -> Result<usize>,
    ) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let Some(at) = start.checked_add(done) else { break };
            let offset = at % PAGE_SIZE;
            let part = (PAGE_SIZE - offset).min(len - done);
            match self.page_at(page_down(at), access).and_then(|frame| copy(&frame, offset, part)) {
                Ok(copied) => {
                    done += copied;
                    if copied < part {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// The frame that is mapped at `page`, brought in for `access` if need be.
    fn page_at(&self, page: Vaddr, access: Access) -> Result<UFrame> {
        loop {
            let range = page..page.checked_add(PAGE_SIZE).ok_or(Errno::EFAULT)?;
            if let Some((frame, flags)) = self.space.cursor(range).map_err(|_| Errno::EFAULT)?.query() {
                let needed = if access == Access::Write { PageFlags::WRITE } else { PageFlags::READ };
                if flags.contains(needed) {
                    return Ok(frame);
                }
            }
            self.bring_in(page, access).map_err(|error| match error.errno() {
                Errno::ENOMEM if !ostd::mm::is_exhausted() => Errno::EFAULT.into(),
                _ => error,
            })?;
        }
    }
}
