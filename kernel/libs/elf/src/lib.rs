//! Reads the headers of ELF programs (System V ABI, chapters 4 and 5; x86-64 supplement). Every value is the file's claim: what comes out of
//! here is in range, and nothing in here indexes, adds or multiplies without a check.
//!
//! Own code rather than xmas-elf: that parses whole files in memory, and panics on some malformed ones; a loader has two small reads of
//! headers and wants a verdict.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::ops::Range;

#[cfg(test)]
mod tests;

/// Bytes of the file header.
pub const HEADER_LEN: usize = 64;
/// Bytes of one program header.
pub const PROGRAM_HEADER_LEN: usize = 56;
/// The most program headers: more than any linker makes.
pub const MAX_PROGRAM_HEADERS: usize = 128;
/// The longest name of an interpreter, NUL included (limits.h, PATH_MAX).
const MAX_INTERPRETER: u64 = 4096;

const PAGE_SIZE: u64 = 4096;

/// Not a program that we can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Where a program may be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At its own addresses (ET_EXEC).
    Fixed,
    /// Anywhere (ET_DYN).
    Relocatable,
}

/// The file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it may be loaded.
    pub kind: Kind,
    /// The first instruction.
    pub entry: u64,
    /// Where in the file the program headers are.
    pub table_offset: u64,
    /// How many there are; at least 1, at most [`MAX_PROGRAM_HEADERS`].
    pub table_len: usize,
}

/// Rights of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the three rights")]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

/// A PT_LOAD segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in the file its bytes are; congruent to `address` modulo the page size.
    pub offset: u64,
    /// Where it goes, before relocation.
    pub address: u64,
    /// Bytes from the file.
    pub file_len: u64,
    /// Bytes in memory, zeros after those of the file; at least `file_len`, not 0.
    pub memory_len: u64,
    /// Rights.
    pub rights: Rights,
}

/// What the program headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Segments to load, in the order of their addresses, without overlaps of their bytes. A program without any cannot run; Linux looks for its
    /// interpreter first, so that verdict is the loader's.
    pub segments: Vec<Segment>,
    /// Where in the file the interpreter's name is, with its NUL.
    pub interpreter: Option<Range<u64>>,
    /// Whether PT_GNU_STACK wants an executable stack; `None` if there is none.
    pub executable_stack: Option<bool>,
    /// Address of the program headers in memory, before relocation, if a segment or PT_PHDR shows it.
    pub table_address: Option<u64>,
}

impl Header {
    /// Reads a file header.
    ///
    /// # Errors
    /// Not ELF, or not a 64-bit little-endian x86-64 program.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; HEADER_LEN] = bytes
            .get(..HEADER_LEN)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Malformed("file is too short"))?;
        if bytes[..4] != *b"\x7fELF" {
            return Err(Malformed("not an elf file"));
        }
        // EI_CLASS 64-bit, EI_DATA little-endian, EI_VERSION current.
        if bytes[4..7] != [2, 1, 1] {
            return Err(Malformed("not a 64-bit little-endian file"));
        }
        if u16_at(bytes, 18) != 62 {
            return Err(Malformed("not for x86-64"));
        }
        let kind = match u16_at(bytes, 16) {
            2 => Kind::Fixed,
            3 => Kind::Relocatable,
            _ => return Err(Malformed("neither executable nor position-independent")),
        };
        if usize::from(u16_at(bytes, 54)) != PROGRAM_HEADER_LEN {
            return Err(Malformed("program headers have an unknown size"));
        }
        let table_len = usize::from(u16_at(bytes, 56));
        if table_len == 0 || table_len > MAX_PROGRAM_HEADERS {
            return Err(Malformed("no program headers, or too many"));
        }
        let table_offset = u64_at(bytes, 32);
        if table_offset.checked_add((table_len * PROGRAM_HEADER_LEN) as u64).is_none() {
            return Err(Malformed("program headers are out of range"));
        }
        Ok(Self { kind, entry: u64_at(bytes, 24), table_offset, table_len })
    }

    /// Length of the program headers in bytes.
    pub fn table_bytes(&self) -> usize {
        self.table_len * PROGRAM_HEADER_LEN
    }
}

impl Program {
    /// Reads the program headers. Segments must end at or below `limit`.
    ///
    /// # Errors
    /// A header that contradicts itself or the others.
    pub fn parse(header: &Header, table: &[u8], limit: u64) -> Result<Self, Malformed> {
        let table = table.get(..header.table_bytes()).ok_or(Malformed("program headers are cut off"))?;
        let mut program =
            Self { segments: Vec::new(), interpreter: None, executable_stack: None, table_address: None };
        for entry in table.chunks_exact(PROGRAM_HEADER_LEN) {
            let flags = u32_at(entry, 4);
            match u32_at(entry, 0) {
                1 => program.add_segment(entry, flags, limit)?,
                3 if program.interpreter.is_none() => {
                    let (start, len) = (u64_at(entry, 8), u64_at(entry, 32));
                    let end = start.checked_add(len).ok_or(Malformed("interpreter is out of range"))?;
                    if !(2..=MAX_INTERPRETER).contains(&len) {
                        return Err(Malformed("interpreter's name is empty or too long"));
                    }
                    program.interpreter = Some(start..end);
                }
                6 => program.table_address = Some(u64_at(entry, 16)),
                0x6474_e551 => program.executable_stack = Some(flags & 1 != 0),
                _ => {}
            }
        }
        if program.table_address.is_none() {
            program.table_address = program.address_of(header.table_offset);
        }
        Ok(program)
    }

    /// Pages that the segments span, before relocation.
    pub fn span(&self) -> Range<u64> {
        let start = self.segments.first().map_or(0, |first| first.address & !(PAGE_SIZE - 1));
        let end = self.segments.last().map_or(0, |last| last.address + last.memory_len);
        start..end.next_multiple_of(PAGE_SIZE)
    }

    fn add_segment(&mut self, entry: &[u8], flags: u32, limit: u64) -> Result<(), Malformed> {
        let segment = Segment {
            offset: u64_at(entry, 8),
            address: u64_at(entry, 16),
            file_len: u64_at(entry, 32),
            memory_len: u64_at(entry, 40),
            rights: Rights { read: flags & 4 != 0, write: flags & 2 != 0, execute: flags & 1 != 0 },
        };
        if segment.memory_len == 0 {
            return Ok(());
        }
        if segment.file_len > segment.memory_len {
            return Err(Malformed("a segment is longer in the file than in memory"));
        }
        if segment.address % PAGE_SIZE != segment.offset % PAGE_SIZE {
            return Err(Malformed("a segment's address and offset disagree"));
        }
        let end = segment.address.checked_add(segment.memory_len).filter(|&end| end <= limit);
        if end.is_none()
            || segment.offset.checked_add(segment.file_len).is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(Malformed("a segment is out of range"));
        }
        let previous = self.segments.last().map_or(0, |last| last.address + last.memory_len);
        if segment.address < previous {
            return Err(Malformed("segments overlap or are out of order"));
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The address at which byte `offset` of the file is loaded.
    fn address_of(&self, offset: u64) -> Option<u64> {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.offset <= offset && offset - segment.offset < segment.file_len)?;
        Some(segment.address + (offset - segment.offset))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
