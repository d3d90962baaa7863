//! What /proc/PID/maps, smaps and statm show.

use super::AddressSpace;
use super::area::{Backing, VmArea};
use super::cached::COPY;
use crate::error::{Errno, Result};
use alloc::vec::Vec;
use core::ops::Range;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};

/// An area and what of it is in memory, in pages.
#[derive(Debug)]
pub struct AreaReport {
    /// Where.
    pub range: Range<Vaddr>,
    /// A copy of the area.
    pub area: VmArea,
    /// Mapped pages (Rss).
    pub resident: usize,
    /// Of those, mapped here alone (Private_*).
    pub private: usize,
    /// Of those, private copies and anonymous memory (Anonymous).
    pub anonymous: usize,
    /// Of those, written to (*_Dirty).
    pub dirty: usize,
    /// Of those, used (Referenced).
    pub referenced: usize,
    /// Pages, each divided by how many show it (Pss), in 1/4096 pages: bytes.
    pub proportional_bytes: usize,
}

impl AddressSpace {
    /// All areas, in order. With `count_pages` their pages are counted (smaps), else the counts are zero (maps).
    ///
    /// # Errors
    /// ENOMEM.
    pub fn report(&self, count_pages: bool) -> Result<Vec<AreaReport>> {
        let areas = self.areas.read();
        let mut out: Vec<AreaReport> = Vec::new();
        out.try_reserve_exact(areas.map.len()).map_err(|_| Errno::ENOMEM)?;
        out.extend(areas.map.iter().map(|(range, area)| AreaReport::new(range, area)));
        if count_pages {
            out.iter_mut().for_each(|report| self.count_pages(report));
        }
        drop(areas);
        Ok(out)
    }

    fn count_pages(&self, report: &mut AreaReport) {
        let range = report.range.clone();
        let Ok(mut cursor) = self.space.cursor(range) else { return };
        while let Some(at) = cursor.next_mapped() {
            if let Some((frame, flags)) = cursor.query() {
                // Ours, and the cache's if it is a page of a file.
                let is_file = !flags.contains(COPY) && matches!(report.area.backing, Backing::File { .. });
                let sharers = frame.share_count().saturating_sub(1 + usize::from(is_file)).max(1);
                report.resident += 1;
                report.private += usize::from(sharers == 1);
                report.anonymous += usize::from(!is_file);
                report.dirty += usize::from(flags.contains(PageFlags::DIRTY));
                report.referenced += usize::from(flags.contains(PageFlags::ACCESSED));
                report.proportional_bytes += PAGE_SIZE / sharers;
            }
            if cursor.jump(at + PAGE_SIZE).is_err() {
                break;
            }
        }
    }
}

impl AreaReport {
    fn new(range: Range<Vaddr>, area: &VmArea) -> Self {
        Self {
            range,
            area: area.clone(),
            resident: 0,
            private: 0,
            anonymous: 0,
            dirty: 0,
            referenced: 0,
            proportional_bytes: 0,
        }
    }

    /// `rwxp`, as in /proc/PID/maps.
    pub fn rights(&self) -> [u8; 4] {
        let bit = |flag, letter| if self.area.rights.contains(flag) { letter } else { b'-' };
        [
            bit(PageFlags::READ, b'r'),
            bit(PageFlags::WRITE, b'w'),
            bit(PageFlags::EXECUTE, b'x'),
            if self.area.is_shared() { b's' } else { b'p' },
        ]
    }
}
