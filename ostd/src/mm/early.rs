//! Memory before there are frames: which stretches are free for us, and a bump allocator over the largest of them.
//!
//! In a TD most of it was not accepted by firmware: a stretch knows that, and what is taken of it is accepted on the way.

use core::ops::Range;

use super::{PAGE_SIZE, Paddr};
use crate::boot::{MemoryKind, MemoryRegion};
use crate::tdx::{self, memory::LARGE_PAGE};

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
    /// Whether what was not accepted can be: in a TD.
    pub(crate) can_accept: bool,
}

/// A stretch of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes, or frames for the frame allocator.
    pub(super) range: Range<usize>,
    /// Whether it may be touched as it is.
    pub(super) is_accepted: bool,
}

impl Stretch {
    pub(super) const EMPTY: Self = Self { range: 0..0, is_accepted: true };
}

/// Disjoint stretches of whole frames, sorted.
#[derive(Debug)]
pub(super) struct FreeRanges {
    ranges: [Stretch; MAX_RANGES],
    len: usize,
}

impl FreeRanges {
    /// The usable regions without what is reserved. Beyond [`MAX_RANGES`] pieces memory is left unused.
    pub(super) fn new(map: &EarlyMap<'_>) -> Self {
        let is_free = |kind| kind == MemoryKind::Usable || kind == MemoryKind::Unaccepted && map.can_accept;
        let mut free = Self { ranges: [const { Stretch::EMPTY }; MAX_RANGES], len: 0 };
        for region in map.regions.iter().filter(|r| is_free(r.kind)) {
            let end = region.start.saturating_add(region.len);
            let range = region.start.min(PADDR_LIMIT)..end.min(PADDR_LIMIT);
            free.push(Stretch { range, is_accepted: region.kind == MemoryKind::Usable });
        }
        // What is not usable wins over what is, in case the firmware's map overlaps.
        let taken =
            map.regions.iter().filter(|r| !is_free(r.kind)).map(|r| r.start..r.start.saturating_add(r.len));
        for hole in taken.chain(map.reserved.iter().cloned()) {
            free.cut(hole);
        }
        for Stretch { range, .. } in free.ranges.iter_mut() {
            *range = range.start.next_multiple_of(PAGE_SIZE)..range.end & !(PAGE_SIZE - 1);
        }
        free.ranges[..free.len].sort_unstable_by_key(|r| r.range.start);
        free.join();
        free
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stretch> {
        self.ranges[..self.len].iter().filter(|r| !r.range.is_empty())
    }

    /// Takes `len` bytes (whole frames) off the top of the largest stretch below 4 GiB, of those that were accepted if one has room.
    pub(super) fn take(&mut self, len: usize) -> Option<Paddr> {
        self.take_by(len, &mut tdx::memory::accept)
    }

    fn take_by(&mut self, len: usize, accept: &mut dyn FnMut(Range<Paddr>)) -> Option<Paddr> {
        let len = len.next_multiple_of(PAGE_SIZE);
        let (index, end) = self.largest(len)?;
        let Stretch { range, is_accepted } = self.ranges[index].clone();
        let start = end - len;
        // The rest of the large page that the lowest byte is in comes with it, for what is taken next.
        let low = if is_accepted { start } else { range.start.max(start & !(LARGE_PAGE - 1)) };
        if !is_accepted {
            accept(low..end);
        }
        self.replace(index, low..start, start..end);
        Some(start)
    }

    /// Takes `len` bytes (whole large pages) below 4 GiB as they are, to become memory that devices reach.
    pub(super) fn take_large_pages(&mut self, len: usize) -> Option<Range<Paddr>> {
        let (index, end) = self.largest(len.checked_add(LARGE_PAGE)?)?;
        let end = end & !(LARGE_PAGE - 1);
        self.replace(index, 0..0, end - len..end);
        Some(end - len..end)
    }

    /// The best stretch to take `len` bytes of, and where they would end.
    fn largest(&self, len: usize) -> Option<(usize, Paddr)> {
        let room = |r: &Range<Paddr>| r.end.min(EARLY_LIMIT).saturating_sub(r.start);
        let rooms = (0..self.len).map(|i| (self.ranges[i].is_accepted, room(&self.ranges[i].range), i));
        let (_, _, index) = rooms.filter(|(_, room, _)| *room >= len).max()?;
        Some((index, self.ranges[index].range.end.min(EARLY_LIMIT)))
    }

    /// Takes `taken` out of a stretch. What lies right below it in `accepted` has just been accepted.
    fn replace(&mut self, index: usize, accepted: Range<Paddr>, taken: Range<Paddr>) {
        let whole = self.ranges[index].clone();
        let low = if accepted.is_empty() { taken.start } else { accepted.start };
        self.ranges[index].range.end = low;
        // From the top down, each in front of the last.
        for (range, is_accepted) in [(taken.end..whole.range.end, whole.is_accepted), (accepted, true)] {
            if !range.is_empty() {
                self.insert_after(index, Stretch { range, is_accepted });
            }
        }
    }

    fn push(&mut self, stretch: Stretch) {
        if let Some(slot) = self.ranges.get_mut(self.len) {
            *slot = stretch;
            self.len += 1;
        }
    }

    fn insert_after(&mut self, index: usize, stretch: Stretch) {
        if self.len < MAX_RANGES {
            self.ranges[index + 1..=self.len].rotate_right(1);
            self.ranges[index + 1] = stretch;
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
            let Stretch { range, is_accepted } = self.ranges[index].clone();
            if hole.start >= range.end || hole.end <= range.start {
                continue;
            }
            self.ranges[index].range.end = hole.start.max(range.start);
            if hole.end < range.end {
                self.push(Stretch { range: hole.end..range.end, is_accepted });
            }
        }
    }

    /// Drops overlaps of usable regions with each other.
    fn join(&mut self) {
        let mut covered = 0;
        for Stretch { range, .. } in &mut self.ranges[..self.len] {
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
        let map = EarlyMap { regions: &regions, reserved, can_accept: false };
        FreeRanges::new(&map).iter().map(|stretch| stretch.range.clone()).collect()
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
        let map = EarlyMap { regions: &regions, reserved: &[], can_accept: false };
        let mut ranges = FreeRanges::new(&map);
        assert_eq!(ranges.take(0x1001), Some((4 << 30) - 0x2000));
        let left: Vec<_> = ranges.iter().map(|stretch| stretch.range.clone()).collect();
        assert_eq!(left, [1 << 31..(4 << 30) - 0x2000, 4 << 30..1 << 33]);
        assert_eq!(ranges.take(1 << 40), None);
    }

    type Taken = (Vec<(Range<usize>, bool)>, Vec<Range<usize>>, Vec<usize>);

    /// What is left, what was accepted, and what was taken, of 1 MiB that was accepted and 64 MiB that were not.
    fn take_each(lens: &[usize]) -> Taken {
        let region = |start, len, kind| MemoryRegion { start, len, kind };
        let regions = [
            region(0x10_0000, 0x10_0000, MemoryKind::Usable),
            region(0x20_0000, 0x400_0000, MemoryKind::Unaccepted),
        ];
        let map = EarlyMap { regions: &regions, reserved: &[], can_accept: true };
        let mut ranges = FreeRanges::new(&map);
        let mut accepted = Vec::new();
        let taken = lens.iter().map(|len| ranges.take_by(*len, &mut |range| accepted.push(range)).unwrap());
        let taken = taken.collect();
        (ranges.iter().map(|s| (s.range.clone(), s.is_accepted)).collect(), accepted, taken)
    }

    #[test]
    fn memory_is_accepted_once_and_with_the_large_page_that_it_is_in() {
        let (left, accepted, taken) = take_each(&[0x20_1000, 0x1000, 0x18_0000]);
        let once = core::slice::from_ref(&(0x3e0_0000..0x420_0000));
        assert_eq!(accepted, once, "the second and third had room in the first's");
        assert_eq!(taken, [0x3ff_f000, 0x3ff_e000, 0x3e7_e000]);
        let expected =
            [(0x10_0000..0x20_0000, true), (0x20_0000..0x3e0_0000, false), (0x3e0_0000..0x3e7_e000, true)];
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_accepted_by_firmware_is_taken_first() {
        let (_, accepted, taken) = take_each(&[0x1000]);
        assert_eq!((accepted.len(), taken), (0, std::vec![0x1f_f000]));
    }

    #[test]
    fn memory_for_devices_is_taken_as_it_is() {
        let regions = [MemoryRegion { start: 0x1000, len: 0x90_0000, kind: MemoryKind::Unaccepted }];
        let mut ranges = FreeRanges::new(&EarlyMap { regions: &regions, reserved: &[], can_accept: true });
        assert_eq!(ranges.take_large_pages(0x40_0000), Some(0x40_0000..0x80_0000));
        let left: Vec<_> = ranges.iter().map(|s| (s.range.clone(), s.is_accepted)).collect();
        assert_eq!(left, [(0x1000..0x40_0000, false), (0x80_0000..0x90_1000, false)]);
    }

    #[test]
    fn memory_that_cannot_be_accepted_is_left_alone() {
        assert_eq!(free(&[(0, 1 << 30, MemoryKind::Unaccepted)], &[]), []);
    }
}
