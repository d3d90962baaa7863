//! Memory before there are frames: which stretches are free for us, and a bump allocator over the largest of them.

use core::ops::Range;

use super::{PAGE_SIZE, Paddr};
use crate::boot::{MemoryKind, MemoryRegion};

/// The firmware's map has this many stretches at most, as far as we care.
pub(super) const MAX_RANGES: usize = 128;
/// Below this, boot's early tables map memory.
const EARLY_LIMIT: Paddr = 4 << 30;

/// Memory beyond is left alone: its metadata would not fit below 4 GiB, and no machine of ours has it.
const PADDR_LIMIT: Paddr = 1 << 40;

/// What boot knows about memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EarlyMap<'a> {
    /// The firmware's map.
    pub(crate) regions: &'a [MemoryRegion],
    /// What in it is taken: kernel image, initramfs, loader data, the first MiB.
    pub(crate) reserved: &'a [Range<Paddr>],
}

/// Disjoint ranges of whole frames, sorted.
#[derive(Debug)]
pub(super) struct FreeRanges {
    ranges: [Range<Paddr>; MAX_RANGES],
    len: usize,
}

impl FreeRanges {
    /// The usable regions without what is reserved. Beyond [`MAX_RANGES`] pieces memory is left unused.
    pub(super) fn new(map: &EarlyMap<'_>) -> Self {
        let mut free = Self { ranges: [const { 0..0 }; MAX_RANGES], len: 0 };
        for region in map.regions.iter().filter(|r| r.kind == MemoryKind::Usable) {
            free.push(
                region.start.min(PADDR_LIMIT)..region.start.saturating_add(region.len).min(PADDR_LIMIT),
            );
        }
        // What is not usable wins over what is, in case the firmware's map overlaps.
        let taken = map
            .regions
            .iter()
            .filter(|r| r.kind != MemoryKind::Usable)
            .map(|r| r.start..r.start.saturating_add(r.len));
        for hole in taken.chain(map.reserved.iter().cloned()) {
            free.cut(hole);
        }
        for range in free.ranges.iter_mut() {
            *range = range.start.next_multiple_of(PAGE_SIZE)..range.end & !(PAGE_SIZE - 1);
        }
        free.ranges[..free.len].sort_unstable_by_key(|r| r.start);
        free.join();
        free
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<Paddr>> {
        self.ranges[..self.len].iter().filter(|r| !r.is_empty())
    }

    /// Takes `len` bytes (whole frames) off the top of the largest range below 4 GiB.
    pub(super) fn take(&mut self, len: usize) -> Option<Paddr> {
        let room = |r: &Range<Paddr>| r.end.min(EARLY_LIMIT).saturating_sub(r.start);
        let len = len.next_multiple_of(PAGE_SIZE);
        let index = (0..self.len).max_by_key(|i| room(&self.ranges[*i]))?;
        let range = self.ranges[index].clone();
        let end = range.end.min(EARLY_LIMIT);
        let start = end.checked_sub(len).filter(|start| *start >= range.start)?;
        self.ranges[index].end = start;
        if end < range.end {
            self.insert_after(index, end..range.end);
        }
        Some(start)
    }

    fn push(&mut self, range: Range<Paddr>) {
        if let Some(slot) = self.ranges.get_mut(self.len) {
            *slot = range;
            self.len += 1;
        }
    }

    fn insert_after(&mut self, index: usize, range: Range<Paddr>) {
        if self.len < MAX_RANGES {
            self.ranges[index + 1..=self.len].rotate_right(1);
            self.ranges[index + 1] = range;
            self.len += 1;
        }
    }

    fn cut(&mut self, hole: Range<Paddr>) {
        if hole.is_empty() {
            return;
        }
        // Whole frames: a frame that is partly taken is taken.
        let hole =
            hole.start & !(PAGE_SIZE - 1)..hole.end.checked_next_multiple_of(PAGE_SIZE).unwrap_or(usize::MAX);
        for index in 0..self.len {
            let range = self.ranges[index].clone();
            if hole.start >= range.end || hole.end <= range.start {
                continue;
            }
            self.ranges[index].end = hole.start.max(range.start);
            if hole.end < range.end {
                self.push(hole.end..range.end);
            }
        }
    }

    /// Drops overlaps of usable regions with each other.
    fn join(&mut self) {
        let mut covered = 0;
        for range in &mut self.ranges[..self.len] {
            range.start = range.start.max(covered).min(range.end.max(range.start));
            covered = covered.max(range.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EarlyMap, FreeRanges};
    use crate::boot::{MemoryKind, MemoryRegion};
    use core::ops::Range;
    use std::vec::Vec;

    fn free(regions: &[(usize, usize, MemoryKind)], reserved: &[Range<usize>]) -> Vec<Range<usize>> {
        let regions: Vec<_> = regions
            .iter()
            .map(|(start, len, kind)| MemoryRegion { start: *start, len: *len, kind: *kind })
            .collect();
        FreeRanges::new(&EarlyMap { regions: &regions, reserved }).iter().cloned().collect()
    }

    #[test]
    fn reserved_stretches_are_cut_out_as_whole_frames() {
        let usable = [(0, 0x9fc00, MemoryKind::Usable), (0x10_0000, 0x100_0000, MemoryKind::Usable)];
        let ranges = free(&usable, &[0..0x10_0000, 0x20_0010..0x20_1010, 0x110_0000 - 1..0x110_0000]);
        assert_eq!(ranges, [0x10_0000..0x20_0000, 0x20_2000..0x10f_f000]);
    }

    #[test]
    fn overlapping_regions_are_counted_once() {
        let usable = [
            (0x10_0000, 0x10_0000, MemoryKind::Usable),
            (0x18_0000, 0x10_0000, MemoryKind::Usable),
            (0x1a_0000, 0x1000, MemoryKind::AcpiNvs),
        ];
        let ranges = free(&usable, &[]);
        let total: usize = ranges.iter().map(Range::len).sum();
        assert_eq!(total, 0x18_0000 - 0x1000);
        assert!(ranges.windows(2).all(|w| w[0].end <= w[1].start));
    }

    #[test]
    fn a_hostile_map_does_not_overflow() {
        let usable = [(usize::MAX - 5, 100, MemoryKind::Usable), (0x1000, 0x1000, MemoryKind::Usable)];
        let reserved = usize::MAX - 10..usize::MAX;
        assert_eq!(
            free(&usable, core::slice::from_ref(&reserved)).as_slice(),
            core::slice::from_ref(&(0x1000..0x2000))
        );
    }

    #[test]
    fn early_memory_comes_from_below_four_gigabytes() {
        let regions = [MemoryRegion { start: 1 << 31, len: 3 << 31, kind: MemoryKind::Usable }];
        let mut ranges = FreeRanges::new(&EarlyMap { regions: &regions, reserved: &[] });
        assert_eq!(ranges.take(0x1001), Some((4 << 30) - 0x2000));
        let left: Vec<_> = ranges.iter().cloned().collect();
        assert_eq!(left, [1 << 31..(4 << 30) - 0x2000, 4 << 30..1 << 33]);
        assert_eq!(ranges.take(1 << 40), None);
    }
}
