//! Puts an ELF file's segments into an address space.

use super::image::Elf;
use crate::error::{Errno, Error, Result};
use crate::mm::map::Place;
use crate::mm::{AddressSpace, Limits, MapRequest};
use alloc::vec::Vec;
use coffer_elf::{Kind, Rights, Segment};
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr, VmWriter, page_down, page_up};

/// A file in memory.
#[derive(Debug)]
pub struct Mapped {
    /// What was added to the file's addresses.
    pub bias: usize,
    /// The first instruction.
    pub entry: Vaddr,
    /// Pages that it takes.
    pub span: Range<Vaddr>,
    /// The program headers (AT_PHDR).
    pub table: Vaddr,
    /// Ends of pages that must be zeroed once the address space is active: between the bytes of the file and those that follow as zeros.
    zeros: Vec<Range<Vaddr>>,
}

/// Maps `elf` into `space`: at its own addresses, or at `place` if it can be anywhere.
///
/// # Errors
/// ENOMEM, or what mapping gives.
pub fn map(space: &AddressSpace, elf: &Elf, place: Place, limits: &Limits) -> Result<Mapped> {
    let wanted = elf.program.span();
    let (wanted, len) = (wanted.start as usize, (wanted.end - wanted.start) as usize);
    let place = if elf.header.kind == Kind::Fixed { Place::FixedNoReplace(wanted) } else { place };
    // One reservation for all: segments keep their distances, and nothing else gets between.
    let reserved = space.map(&MapRequest::anonymous(place, len, PageFlags::empty()), limits)?;
    let bias = reserved.wrapping_sub(wanted);
    let mut mapped = Mapped {
        bias,
        entry: (elf.header.entry as usize).wrapping_add(bias),
        span: reserved..reserved + len,
        table: elf.program.table_address.map_or(0, |address| (address as usize).wrapping_add(bias)),
        zeros: Vec::new(),
    };
    for segment in &elf.program.segments {
        map_segment(space, elf, segment, &mut mapped, limits)?;
    }
    Ok(mapped)
}

fn map_segment(
    space: &AddressSpace,
    elf: &Elf,
    segment: &Segment,
    mapped: &mut Mapped,
    limits: &Limits,
) -> Result<()> {
    let too_long = || Error::new(Errno::ENOMEM);
    let rights = flags(segment.rights);
    let start = (segment.address as usize).wrapping_add(mapped.bias);
    let file_end = start + segment.file_len as usize;
    let end = page_up(start + segment.memory_len as usize).ok_or_else(too_long)?;
    let first_page = page_down(start);
    let file_pages_end =
        if segment.file_len == 0 { first_page } else { page_up(file_end).ok_or_else(too_long)? };

    if file_pages_end > first_page {
        let offset = segment.offset - (start - first_page) as u64;
        let place = Place::Fixed(first_page);
        let request = MapRequest::private_file(place, file_pages_end - first_page, rights, &elf.file, offset)
            .map_err(|_| Errno::ENOEXEC)?;
        space.map(&request, limits)?;
        if segment.memory_len > segment.file_len && rights.contains(PageFlags::WRITE) {
            mapped.zeros.push(file_end..file_pages_end);
        }
    }
    if end > file_pages_end {
        let request = MapRequest::anonymous(Place::Fixed(file_pages_end), end - file_pages_end, rights);
        space.map(&request, limits)?;
    }
    Ok(())
}

impl Mapped {
    /// Zeroes what the file's last pages show behind its bytes. The address space is active.
    ///
    /// # Errors
    /// EFAULT: the file is shorter than its headers say.
    pub fn clear_tails(&self) -> Result<()> {
        for range in &self.zeros {
            let len = range.len().min(PAGE_SIZE);
            if len > 0 && VmWriter::from_user(range.start, len)?.write_zeros(len)? != len {
                return Err(Errno::EFAULT.into());
            }
        }
        Ok(())
    }
}

fn flags(rights: Rights) -> PageFlags {
    let mut flags = PageFlags::empty();
    flags.set(PageFlags::READ, rights.read);
    flags.set(PageFlags::WRITE, rights.write);
    flags.set(PageFlags::EXECUTE, rights.execute);
    flags
}
