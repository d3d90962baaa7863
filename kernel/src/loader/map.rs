//! Segments of an ELF file into an address space.

use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::mm::AddressSpace;
use crate::mm::limits::Limits;
use crate::mm::map::{MapRequest, Place};
use alloc::sync::Arc;
use coffer_elf::{Program, Segment};
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr, VmWriter, page_down, page_up};

/// What became of a program.
pub struct Placed {
    /// Its first instruction.
    pub entry: u64,
    /// By how much addresses moved against those it was linked at.
    pub base: u64,
    /// Where its program headers are.
    pub table: Option<u64>,
    /// One past its last page.
    pub end: Vaddr,
}

const NO_LIMITS: Limits = Limits::none(u64::MAX);

/// Maps a program: where it was linked, or at `address` if it can go anywhere.
pub fn program(
    space: &AddressSpace,
    file: &Arc<OpenFile>,
    program: &Program,
    address: Vaddr,
) -> Result<Placed> {
    if !program.header.is_relocatable {
        return place(space, file, program, 0);
    }
    let alignment = program.alignment as usize;
    let start = program.span().start as usize;
    let base = (address & !(alignment - 1)).checked_sub(start).ok_or(Errno::ENOMEM)?;
    place(space, file, program, base)
}

/// Maps an interpreter where there is room.
pub fn interpreter(space: &AddressSpace, file: &Arc<OpenFile>, program: &Program) -> Result<Placed> {
    if !program.header.is_relocatable {
        return place(space, file, program, 0);
    }
    let span = program.span();
    let len = (span.end - span.start) as usize;
    let slack = program.alignment as usize - PAGE_SIZE;
    // Asks for room for all segments at once, then gives it back for them: nobody else maps into a program that has not begun.
    let room = MapRequest::anonymous(
        Place::Hint(0),
        len.checked_add(slack).ok_or(Errno::ENOMEM)?,
        PageFlags::empty(),
    );
    let found = space.map(&room, &NO_LIMITS)?;
    space.unmap(found, len + slack)?;
    let start = found.next_multiple_of(program.alignment as usize);
    let base = start.checked_sub(span.start as usize).ok_or(Errno::ENOMEM)?;
    place(space, file, program, base)
}

fn place(space: &AddressSpace, file: &Arc<OpenFile>, program: &Program, base: usize) -> Result<Placed> {
    for segment in &program.segments {
        place_segment(space, file, segment, base)?;
    }
    let moved = |address: u64| address.wrapping_add(base as u64);
    Ok(Placed {
        entry: moved(program.header.entry),
        base: base as u64,
        table: program.table_address.map(moved),
        end: base + program.span().end as usize,
    })
}

fn place_segment(space: &AddressSpace, file: &Arc<OpenFile>, segment: &Segment, base: usize) -> Result<()> {
    let mut rights = PageFlags::empty();
    rights.set(PageFlags::READ, segment.read);
    rights.set(PageFlags::WRITE, segment.write);
    rights.set(PageFlags::EXECUTE, segment.execute);
    let start = base.checked_add(segment.address as usize).ok_or(Errno::ENOMEM)?;
    let first_page = page_down(start);
    let file_end = start + segment.file_len as usize;
    let memory_end = start + segment.memory_len as usize;
    let mapped_end = page_up(file_end).ok_or(Errno::ENOMEM)?;
    if segment.file_len > 0 {
        let offset = segment.offset - (start - first_page) as u64;
        let request =
            MapRequest::private_file(Place::Fixed(first_page), mapped_end - first_page, rights, file, offset)
                .map_err(|_| Error::with(Errno::ENOEXEC, "program cannot be mapped"))?;
        space.map(&request, &NO_LIMITS)?;
    }
    if memory_end == file_end {
        return Ok(());
    }
    // The rest is zero: the tail of the last page from the file, and pages of its own.
    let zero_start = if segment.file_len > 0 { mapped_end } else { first_page };
    if segment.file_len > 0 && segment.write && mapped_end > file_end {
        let len = mapped_end.min(memory_end) - file_end;
        // A file that ends before its last page has no bytes to clear there; the program meets SIGBUS if it looks.
        let _ = VmWriter::from_user(file_end, len)?.write_zeros(len);
    }
    let zero_end = page_up(memory_end).ok_or(Errno::ENOMEM)?;
    if zero_end > zero_start {
        space.map(
            &MapRequest::anonymous(Place::Fixed(zero_start), zero_end - zero_start, rights),
            &NO_LIMITS,
        )?;
    }
    Ok(())
}
