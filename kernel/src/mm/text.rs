//! /proc/PID/maps and smaps, as proc(5) lays them out.

use super::AddressSpace;
use super::area::{AreaFlags, Backing};
use super::report::AreaReport;
use crate::fs::vfs::place::Path;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use ostd::mm::PAGE_SIZE;

/// Where names begin in a line.
const NAME_COLUMN: usize = 73;

impl AddressSpace {
    /// One line an area; names of files as seen from `root`.
    pub fn maps_text(&self, root: &Path) -> Vec<u8> {
        let mut out = Vec::new();
        self.report(false).iter().for_each(|area| write_line(&mut out, area, root));
        out
    }

    /// As [`Self::maps_text`], each line followed by what of the area is in memory.
    pub fn smaps_text(&self, root: &Path) -> Vec<u8> {
        let mut out = Vec::new();
        for area in self.report(true) {
            write_line(&mut out, &area, root);
            write_counts(&mut out, &area);
        }
        out
    }

    /// The sum over all areas, as in smaps_rollup.
    pub fn rollup_text(&self) -> Vec<u8> {
        let mut areas = self.report(true).into_iter();
        let Some(mut sum) = areas.next() else { return Vec::new() };
        for area in areas {
            sum.add(&area);
        }
        let mut line = String::new();
        let _ = write!(line, "{:08x}-{:08x} ---p 00000000 00:00 0 ", sum.range.start, sum.range.end);
        let mut out = line.into_bytes();
        out.resize(NAME_COLUMN.max(out.len()), b' ');
        out.extend_from_slice(b"[rollup]\n");
        write_counts(&mut out, &sum);
        out
    }
}

fn write_line(out: &mut Vec<u8>, report: &AreaReport, root: &Path) {
    let begin = out.len();
    let (offset, device, inode) = origin(report);
    let rights = report.rights();
    let rights = core::str::from_utf8(&rights).unwrap_or("----");
    let (major, minor) = (device >> 8 & 0xfff | device >> 32 & !0xfff, device & 0xff | device >> 12 & !0xff);
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "{:08x}-{:08x} {rights} {offset:08x} {major:02x}:{:02x} {inode} ",
        report.range.start, report.range.end, minor as u32,
    );
    out.extend_from_slice(line.as_bytes());
    let name = name(report, root);
    if !name.is_empty() {
        let width = (begin + NAME_COLUMN).max(out.len());
        out.resize(width, b' ');
        // proc(5): a newline in a name would look like another area.
        for byte in name {
            if byte == b'\n' { out.extend_from_slice(b"\\012") } else { out.push(byte) }
        }
    }
    out.push(b'\n');
}

/// Offset, device and inode number of what is behind an area.
fn origin(report: &AreaReport) -> (u64, u64, u64) {
    match &report.area.backing {
        Backing::File { file, first, .. } => {
            let offset = (first * PAGE_SIZE) as u64;
            match file.as_ref().and_then(|file| file.inode().ok()) {
                Some(inode) => {
                    let metadata = inode.metadata();
                    (offset, metadata.dev, metadata.ino)
                }
                None => (offset, 0, 0),
            }
        }
        _ => (0, 0, 0),
    }
}

fn name(report: &AreaReport, root: &Path) -> Vec<u8> {
    let flags = report.area.flags;
    match &report.area.backing {
        Backing::File { file: Some(file), .. } => file.path().to_bytes(root),
        Backing::File { file: None, .. } => b"/dev/zero (deleted)".to_vec(),
        Backing::Frames { name, .. } => name.as_bytes().to_vec(),
        Backing::Anonymous if flags.contains(AreaFlags::HEAP) => b"[heap]".to_vec(),
        Backing::Anonymous if flags.contains(AreaFlags::STACK) => b"[stack]".to_vec(),
        Backing::Anonymous => Vec::new(),
    }
}

fn write_counts(out: &mut Vec<u8>, report: &AreaReport) {
    let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
    let dirty_private = report.dirty.min(report.private);
    let dirty_shared = report.dirty - dirty_private;
    let shared = report.resident - report.private;
    let locked =
        if report.area.flags.contains(AreaFlags::LOCKED) { report.proportional_bytes / 1024 } else { 0 };
    let rows = [
        ("Size", report.range.len() / 1024),
        ("KernelPageSize", PAGE_SIZE / 1024),
        ("MMUPageSize", PAGE_SIZE / 1024),
        ("Rss", kib(report.resident)),
        ("Pss", report.proportional_bytes / 1024),
        ("Shared_Clean", kib(shared - dirty_shared.min(shared))),
        ("Shared_Dirty", kib(dirty_shared)),
        ("Private_Clean", kib(report.private - dirty_private)),
        ("Private_Dirty", kib(dirty_private)),
        ("Referenced", kib(report.referenced)),
        ("Anonymous", kib(report.anonymous)),
        ("Swap", 0),
        ("Locked", locked),
    ];
    let mut text = String::new();
    for (label, value) in rows {
        let padding = 15 - label.len();
        let _ = writeln!(text, "{label}:{:padding$}{value:>8} kB", "");
    }
    let _ = writeln!(text, "VmFlags: {}", vm_flags(report));
    out.extend_from_slice(text.as_bytes());
}

/// The two-letter flags that apply, each followed by a space.
fn vm_flags(report: &AreaReport) -> String {
    let area = &report.area;
    let [read, write, execute, _] = report.rights();
    let has = |flag| area.flags.contains(flag);
    let table = [
        (read == b'r', "rd"),
        (write == b'w', "wr"),
        (execute == b'x', "ex"),
        (area.is_shared(), "sh"),
        (has(AreaFlags::GROWS_DOWN), "gd"),
        (has(AreaFlags::LOCKED), "lo"),
        (has(AreaFlags::SEQUENTIAL), "sr"),
        (has(AreaFlags::RANDOM), "rr"),
        (has(AreaFlags::DONT_FORK), "dc"),
        (has(AreaFlags::NO_RESERVE), "nr"),
        (has(AreaFlags::WIPE_ON_FORK), "wf"),
        (has(AreaFlags::DONT_DUMP), "dd"),
    ];
    let mut text = String::new();
    table.iter().filter(|(applies, _)| *applies).for_each(|(_, name)| {
        let _ = write!(text, "{name} ");
    });
    text
}
