//! /proc/PID/maps, smaps, cmdline, environ, auxv and mem: what a process has in its memory.

use super::Subject;
use super::subject::reader_root;
use crate::error::{Errno, Result};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::synthetic::Text;
use crate::fs::vfs::file_system::split_device;
use crate::fs::vfs::place::Path;
use crate::mm::report::AreaReport;
use crate::mm::{AddressSpace, AreaFlags, Backing};
use alloc::sync::Arc;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};

/// Columns before the name of a mapping's file.
const NAME_COLUMN: usize = 73;
/// How much of a process's memory is copied at once.
const PIECE: usize = 1024;

/// /proc/PID/maps.
pub fn show_maps(subject: &Subject, text: &mut Text) -> Result<()> {
    let Some(memory) = subject.check_access()?.address_space() else { return Ok(()) };
    let root = reader_root()?;
    for report in memory.report(false)? {
        show_area(&report, &root, text);
    }
    Ok(())
}

/// /proc/PID/smaps.
pub fn show_smaps(subject: &Subject, text: &mut Text) -> Result<()> {
    let Some(memory) = subject.check_access()?.address_space() else { return Ok(()) };
    let root = reader_root()?;
    for report in memory.report(true)? {
        show_area(&report, &root, text);
        let pages = (report.range.end - report.range.start) / PAGE_SIZE;
        let sizes = [("Size", pages), ("KernelPageSize", 1), ("MMUPageSize", 1)];
        sizes.iter().for_each(|(name, pages)| line(text, name, pages * PAGE_SIZE));
        show_counts(&Counts::of(&report), text);
        text.bytes(b"THPeligible:           0\nVmFlags:");
        let flags = [
            (report.rights()[0] == b'r', " rd"),
            (report.rights()[1] == b'w', " wr"),
            (report.rights()[2] == b'x', " ex"),
            (report.area.is_shared(), " sh"),
            (report.area.flags.contains(AreaFlags::GROWS_DOWN), " gd"),
            (report.area.flags.contains(AreaFlags::LOCKED), " lo"),
        ];
        flags.iter().filter(|(is_set, _)| *is_set).for_each(|(_, name)| text.bytes(name.as_bytes()));
        text.bytes(b" \n");
    }
    Ok(())
}

/// /proc/PID/smaps_rollup.
pub fn show_smaps_rollup(subject: &Subject, text: &mut Text) -> Result<()> {
    let Some(memory) = subject.check_access()?.address_space() else { return Err(Errno::ESRCH.into()) };
    let reports = memory.report(true)?;
    let (Some(first), Some(last)) = (reports.first(), reports.last()) else { return Ok(()) };
    let start = text.len();
    text.add(format_args!("{:08x}-{:08x} ---p 00000000 00:00 0 ", first.range.start, last.range.end));
    text.pad(start, NAME_COLUMN);
    text.bytes(b"[rollup]\n");
    let sum = reports.iter().map(Counts::of).fold(Counts::default(), Counts::plus);
    show_counts(&sum, text);
    Ok(())
}

/// What smaps counts, in bytes.
#[derive(Clone, Copy, Default)]
struct Counts {
    resident: usize,
    proportional: usize,
    shared_clean: usize,
    shared_dirty: usize,
    private_clean: usize,
    private_dirty: usize,
    referenced: usize,
    anonymous: usize,
    locked: usize,
}

impl Counts {
    fn of(report: &AreaReport) -> Self {
        let bytes = |pages: usize| pages * PAGE_SIZE;
        let shared = report.resident - report.private;
        // Dirtiness is counted for all pages; those of private memory come first.
        let private_dirty = report.dirty.min(report.private);
        let shared_dirty = report.dirty - private_dirty;
        let is_locked = report.area.flags.contains(AreaFlags::LOCKED);
        Self {
            resident: bytes(report.resident),
            proportional: report.proportional_bytes,
            shared_clean: bytes(shared - shared_dirty.min(shared)),
            shared_dirty: bytes(shared_dirty),
            private_clean: bytes(report.private - private_dirty),
            private_dirty: bytes(private_dirty),
            referenced: bytes(report.referenced),
            anonymous: bytes(report.anonymous),
            locked: if is_locked { report.proportional_bytes } else { 0 },
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            resident: self.resident + other.resident,
            proportional: self.proportional + other.proportional,
            shared_clean: self.shared_clean + other.shared_clean,
            shared_dirty: self.shared_dirty + other.shared_dirty,
            private_clean: self.private_clean + other.private_clean,
            private_dirty: self.private_dirty + other.private_dirty,
            referenced: self.referenced + other.referenced,
            anonymous: self.anonymous + other.anonymous,
            locked: self.locked + other.locked,
        }
    }
}

fn show_counts(counts: &Counts, text: &mut Text) {
    let rows = [
        ("Rss", counts.resident),
        ("Pss", counts.proportional),
        ("Pss_Dirty", counts.private_dirty),
        ("Shared_Clean", counts.shared_clean),
        ("Shared_Dirty", counts.shared_dirty),
        ("Private_Clean", counts.private_clean),
        ("Private_Dirty", counts.private_dirty),
        ("Referenced", counts.referenced),
        ("Anonymous", counts.anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", counts.locked),
    ];
    rows.iter().for_each(|(name, bytes)| line(text, name, *bytes));
}

fn line(text: &mut Text, name: &str, bytes: usize) {
    let start = text.len();
    text.add(format_args!("{name}:"));
    text.pad(start, 16);
    text.add(format_args!("{:>8} kB\n", bytes / 1024));
}

/// A line of maps.
fn show_area(report: &AreaReport, root: &Path, text: &mut Text) {
    let start = text.len();
    let Range { start: from, end: to } = report.range;
    let rights = report.rights();
    let rights = core::str::from_utf8(&rights).unwrap_or("----");
    let (mut device, mut ino, mut first, mut name) = ((0, 0), 0, 0, None);
    match &report.area.backing {
        Backing::File { file: Some(file), first: page, .. } => {
            if let Ok(inode) = file.inode() {
                let metadata = inode.metadata();
                (device, ino) = (split_device(metadata.dev), metadata.ino);
            }
            first = page * PAGE_SIZE;
            name = Some(file.path().to_bytes(root));
        }
        Backing::File { file: None, first: page, .. } => {
            first = page * PAGE_SIZE;
            name = Some(b"/dev/zero (deleted)".to_vec());
        }
        Backing::Frames { name: special, .. } => name = Some(special.as_bytes().to_vec()),
        Backing::Anonymous if report.area.flags.contains(AreaFlags::HEAP) => name = Some(b"[heap]".to_vec()),
        Backing::Anonymous if report.area.flags.contains(AreaFlags::STACK) => {
            name = Some(b"[stack]".to_vec());
        }
        Backing::Anonymous => {}
    }
    let (major, minor) = device;
    text.add(format_args!("{from:08x}-{to:08x} {rights} {first:08x} {major:02x}:{minor:02x} {ino} "));
    if let Some(name) = name {
        text.pad(start, NAME_COLUMN);
        text.escaped(&name, b"\n");
    }
    text.bytes(b"\n");
}

/// /proc/PID/cmdline.
pub fn show_cmdline(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.process()?;
    let program = process.program();
    let Some(memory) = process.address_space() else { return Ok(()) };
    let start = text.len();
    copy(&memory, program.arguments.clone(), text);
    // A program that writes a longer title over its arguments (setproctitle) goes on into its environment: the last NUL is gone then.
    if text.len() > start && !text.ends_with(0) && program.environment.start == program.arguments.end {
        copy_string(&memory, program.environment, text);
    }
    Ok(())
}

/// /proc/PID/environ.
pub fn show_environ(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.check_access()?;
    if let Some(memory) = process.address_space() {
        copy(&memory, process.program().environment, text);
    }
    Ok(())
}

/// /proc/PID/auxv.
pub fn show_auxv(subject: &Subject, text: &mut Text) -> Result<()> {
    let process = subject.check_access()?;
    for (key, value) in process.program().auxv.iter() {
        text.bytes(&key.to_ne_bytes());
        text.bytes(&value.to_ne_bytes());
    }
    Ok(())
}

fn copy(memory: &AddressSpace, range: Range<usize>, text: &mut Text) {
    let mut at = range.start;
    let mut piece = [0; PIECE];
    while at < range.end {
        let len = (range.end - at).min(PIECE);
        let Ok(len) = memory.read_remote(at, &mut VmWriter::from_slice(&mut piece[..len])) else { return };
        text.bytes(&piece[..len]);
        at += len;
    }
}

/// Up to the first NUL.
fn copy_string(memory: &AddressSpace, range: Range<usize>, text: &mut Text) {
    let mut at = range.start;
    let mut piece = [0; PIECE];
    while at < range.end {
        let len = (range.end - at).min(PIECE);
        let Ok(len) = memory.read_remote(at, &mut VmWriter::from_slice(&mut piece[..len])) else { return };
        match piece[..len].iter().position(|&byte| byte == 0) {
            Some(end) => return text.bytes(&piece[..=end]),
            None => text.bytes(&piece[..len]),
        }
        at += len;
    }
}

/// Opens /proc/PID/mem.
pub fn open(subject: &Subject) -> Result<Arc<dyn FileOps>> {
    let memory = subject.check_access()?.address_space();
    Ok(Arc::new(MemoryFile { memory: memory.map(|memory| Arc::downgrade(&memory)) }))
}

/// The memory as a file. It does not keep the memory of a process that ends.
#[derive(Debug)]
struct MemoryFile {
    memory: Option<alloc::sync::Weak<AddressSpace>>,
}

impl FileOps for MemoryFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut position = file.position().lock();
        let len = self.read_at(file, *position, writer)?;
        *position += len as u64;
        Ok(len)
    }

    fn read_at(&self, _: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let Some(memory) = self.memory.as_ref().and_then(alloc::sync::Weak::upgrade) else { return Ok(0) };
        let mut done = 0;
        let mut piece = [0; PIECE];
        while writer.remaining() > 0 {
            let len = writer.remaining().min(PIECE);
            let at = usize::try_from(offset).ok().and_then(|at| at.checked_add(done)).ok_or(Errno::EIO)?;
            let len = match memory.read_remote(at, &mut VmWriter::from_slice(&mut piece[..len])) {
                Ok(len) => len,
                Err(_) if done == 0 => return Err(Errno::EIO.into()),
                Err(_) => break,
            };
            writer.write_all(&piece[..len])?;
            done += len;
        }
        Ok(done)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let mut position = file.position().lock();
        let len = self.write_at(file, *position, reader)?;
        *position += len as u64;
        Ok(len)
    }

    fn write_at(&self, _: &OpenFile, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let Some(memory) = self.memory.as_ref().and_then(alloc::sync::Weak::upgrade) else { return Ok(0) };
        let mut done = 0;
        let mut piece = [0; PIECE];
        while reader.remaining() > 0 {
            let len = reader.remaining().min(PIECE);
            reader.read_exact(&mut piece[..len])?;
            let at = usize::try_from(offset).ok().and_then(|at| at.checked_add(done)).ok_or(Errno::EIO)?;
            match memory.write_remote(at, &mut VmReader::from_slice(&piece[..len])) {
                Ok(written) => done += written,
                Err(_) if done == 0 => return Err(Errno::EIO.into()),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        let mut position = file.position().lock();
        *position = match whence {
            // Addresses use all 64 bits: the offset counts as it is.
            0 => offset as u64,
            1 => position.wrapping_add_signed(offset),
            _ => return Err(Errno::EINVAL.into()),
        };
        Ok(*position)
    }
}
