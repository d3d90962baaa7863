//! What execve(2) needs to know of an ELF file (System V ABI, chapters 4 and 5; x86-64 supplement): its header and program
//! headers, every value checked, nothing trusted.
//!
//! Written here because general ELF crates give the raw values; what a loader must refuse is the point of this one.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

/// Length of the file header.
pub const HEADER_LEN: usize = 64;
/// Length of a program header.
pub const PROGRAM_HEADER_LEN: usize = 56;
/// Most program headers that a program may have: as many as fit into a page's worth of what Linux takes.
pub const MAX_PROGRAM_HEADERS: usize = 65536 / PROGRAM_HEADER_LEN;
/// Longest interpreter path with its NUL.
pub const MAX_INTERPRETER_LEN: u64 = 4096;

const MAGIC: [u8; 4] = [0x7f, b'E', b'L', b'F'];
const CLASS_64: u8 = 2;
const DATA_LITTLE_ENDIAN: u8 = 1;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const MACHINE_X86_64: u16 = 62;

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const PROGRAM_HEADERS: u32 = 6;
const GNU_STACK: u32 = 0x6474_e551;

const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

const PAGE_SIZE: u64 = 4096;

/// Why a file is not a program that can be run: ENOEXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an ELF file.
    NotElf,
    /// Not for this machine (class, byte order, architecture, type).
    OtherMachine,
    /// A value that cannot be.
    Malformed,
}

/// The file header's part that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it may be loaded anywhere (ET_DYN).
    pub is_relocatable: bool,
    /// Where it starts, as linked.
    pub entry: u64,
    /// Where the program headers are in the file.
    pub table_offset: u64,
    /// How many there are.
    pub table_count: usize,
}

/// A stretch of the file that goes into memory; addresses as linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte in memory; in the same place of its page as `offset` in the file.
    pub address: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Bytes from the file.
    pub file_len: u64,
    /// Bytes in memory: the rest is zero.
    pub memory_len: u64,
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
}

/// A program's layout; addresses as linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The header.
    pub header: Header,
    /// What is loaded, by ascending address, without overlap; at least one.
    pub segments: Vec<Segment>,
    /// Where the interpreter's path lies in the file: offset and length with its NUL.
    pub interpreter: Option<(u64, u64)>,
    /// Where the program headers are in memory, if they are.
    pub table_address: Option<u64>,
    /// Alignment that the program asks for: a power of two, a page at least.
    pub alignment: u64,
    /// Whether the stack must be executable (PT_GNU_STACK says so, or is missing: then it need not be, on x86-64).
    pub needs_executable_stack: bool,
}

impl Header {
    /// Reads the header from the file's first bytes.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(Error::NotElf);
        }
        if bytes.len() < HEADER_LEN {
            return Err(Error::Malformed);
        }
        let kind = u16_at(bytes, 16);
        let is_ours =
            bytes[4] == CLASS_64 && bytes[5] == DATA_LITTLE_ENDIAN && u16_at(bytes, 18) == MACHINE_X86_64;
        if !is_ours || !matches!(kind, TYPE_EXECUTABLE | TYPE_SHARED) {
            return Err(Error::OtherMachine);
        }
        let table_count = usize::from(u16_at(bytes, 56));
        let is_sound = usize::from(u16_at(bytes, 54)) == PROGRAM_HEADER_LEN
            && (1..=MAX_PROGRAM_HEADERS).contains(&table_count);
        if !is_sound {
            return Err(Error::Malformed);
        }
        let table_offset = u64_at(bytes, 32);
        table_offset.checked_add((table_count * PROGRAM_HEADER_LEN) as u64).ok_or(Error::Malformed)?;
        Ok(Self { is_relocatable: kind == TYPE_SHARED, entry: u64_at(bytes, 24), table_offset, table_count })
    }

    /// Length of the program header table in bytes.
    pub fn table_len(&self) -> usize {
        self.table_count * PROGRAM_HEADER_LEN
    }
}

impl Program {
    /// Reads the program headers; `table` are the bytes that `header` names, `end` is where user space ends.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(header: Header, table: &[u8], end: u64) -> Result<Self, Error> {
        if table.len() != header.table_len() {
            return Err(Error::Malformed);
        }
        let mut program = Self {
            header,
            segments: Vec::new(),
            interpreter: None,
            table_address: None,
            alignment: PAGE_SIZE,
            needs_executable_stack: false,
        };
        let mut has_table = None;
        for entry in table.chunks_exact(PROGRAM_HEADER_LEN) {
            match u32_at(entry, 0) {
                LOAD => program.add_segment(entry, end)?,
                INTERPRETER if program.interpreter.is_none() => {
                    program.interpreter = Some(interpreter(entry)?)
                }
                PROGRAM_HEADERS => has_table = Some(u64_at(entry, 16)),
                GNU_STACK => program.needs_executable_stack = u32_at(entry, 4) & EXECUTE != 0,
                _ => {}
            }
        }
        if program.segments.is_empty() {
            return Err(Error::Malformed);
        }
        program.table_address = program.find_table().or(has_table);
        Ok(program)
    }

    /// The pages that the segments span, from the first to past the last.
    pub fn span(&self) -> core::ops::Range<u64> {
        let start = self.segments.first().map_or(0, |segment| segment.address & !(PAGE_SIZE - 1));
        let end = self.segments.last().map_or(0, |segment| segment.address + segment.memory_len);
        start..end.next_multiple_of(PAGE_SIZE)
    }

    fn add_segment(&mut self, entry: &[u8], end: u64) -> Result<(), Error> {
        let flags = u32_at(entry, 4);
        let segment = Segment {
            address: u64_at(entry, 16),
            offset: u64_at(entry, 8),
            file_len: u64_at(entry, 32),
            memory_len: u64_at(entry, 40),
            read: flags & READ != 0,
            write: flags & WRITE != 0,
            execute: flags & EXECUTE != 0,
        };
        if segment.memory_len == 0 {
            return Ok(());
        }
        let alignment = u64_at(entry, 48);
        let memory_end = segment.address.checked_add(segment.memory_len).ok_or(Error::Malformed)?;
        let file_end = segment.offset.checked_add(segment.file_len).ok_or(Error::Malformed)?;
        let is_sound = segment.file_len <= segment.memory_len
            && memory_end <= end
            && file_end <= i64::MAX as u64
            && segment.address % PAGE_SIZE == segment.offset % PAGE_SIZE
            && self.segments.last().is_none_or(|last| segment.address >= last.address + last.memory_len);
        if !is_sound {
            return Err(Error::Malformed);
        }
        if alignment.is_power_of_two() && alignment <= end {
            self.alignment = self.alignment.max(alignment);
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The program header table's address, if a segment brings it into memory.
    fn find_table(&self) -> Option<u64> {
        let (start, end) =
            (self.header.table_offset, self.header.table_offset + self.header.table_len() as u64);
        self.segments
            .iter()
            .find(|segment| segment.offset <= start && end <= segment.offset + segment.file_len)
            .map(|segment| segment.address + (start - segment.offset))
    }
}

fn interpreter(entry: &[u8]) -> Result<(u64, u64), Error> {
    let (offset, len) = (u64_at(entry, 8), u64_at(entry, 32));
    let is_sound = (2..=MAX_INTERPRETER_LEN).contains(&len)
        && offset.checked_add(len).is_some_and(|end| end <= i64::MAX as u64);
    if is_sound { Ok((offset, len)) } else { Err(Error::Malformed) }
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset + 2)) << 16
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) | u64::from(u32_at(bytes, offset + 4)) << 32
}
