//! The firmware's memory map, made sound: sorted, without overlaps, in a fixed array because there is no heap yet.

use super::{MemoryKind, MemoryRegion};

/// How many regions we keep. The UEFI maps of large servers have about 150.
const MAX_REGIONS: usize = 256;

const EMPTY: MemoryRegion = MemoryRegion { start: 0, len: 0, kind: MemoryKind::Reserved };

/// A list of regions, filled by [`MemoryMap::push`] and made sound by [`MemoryMap::normalise`].
#[derive(Clone, Debug)]
pub(crate) struct MemoryMap {
    regions: [MemoryRegion; MAX_REGIONS],
    len: usize,
    is_truncated: bool,
}

impl MemoryMap {
    /// A map without regions.
    pub(crate) const fn new() -> Self {
        Self { regions: [EMPTY; MAX_REGIONS], len: 0, is_truncated: false }
    }

    /// The regions.
    pub(crate) fn regions(&self) -> &[MemoryRegion] {
        &self.regions[..self.len]
    }

    /// Whether the loader named more than we keep.
    pub(crate) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Adds a region as the loader gave it, with its E820 type. Empty ones and those past the address space are dropped.
    pub(crate) fn push(&mut self, start: u64, len: u64, e820_type: u32) {
        let kind = match e820_type {
            1 => MemoryKind::Usable,
            3 => MemoryKind::AcpiReclaimable,
            4 => MemoryKind::AcpiNvs,
            // No firmware of machines that are not TDs has this one; td-shim and our stub do.
            8 => MemoryKind::Unaccepted,
            _ => MemoryKind::Reserved,
        };
        let (Ok(start), Ok(len)) = (usize::try_from(start), usize::try_from(len)) else { return };
        if len == 0 || start.checked_add(len).is_none() {
            return;
        }
        self.append(MemoryRegion { start, len, kind });
    }

    /// Sorts, merges neighbours of one kind, and gives each overlap to the kind that is least free.
    pub(crate) fn normalise(&mut self) {
        let raw = self.clone();
        let mut edges = [0_usize; 2 * MAX_REGIONS];
        for (pair, region) in edges.as_chunks_mut::<2>().0.iter_mut().zip(raw.regions()) {
            *pair = [region.start, region.start + region.len];
        }
        let edges = &mut edges[..2 * raw.len];
        edges.sort_unstable();

        self.len = 0;
        for pair in edges.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            let covering = raw.regions().iter().filter(|r| r.start <= start && start < r.start + r.len);
            if let Some(kind) = covering.map(|r| r.kind).max_by_key(|k| rank(*k))
                && start < end
            {
                self.extend(start, end - start, kind);
            }
        }
    }

    fn extend(&mut self, start: usize, len: usize, kind: MemoryKind) {
        if let Some(last) = self.regions[..self.len].last_mut()
            && last.kind == kind
            && last.start + last.len == start
        {
            last.len += len;
        } else {
            self.append(MemoryRegion { start, len, kind });
        }
    }

    fn append(&mut self, region: MemoryRegion) {
        match self.regions.get_mut(self.len) {
            Some(slot) => {
                *slot = region;
                self.len += 1;
            }
            None => self.is_truncated = true,
        }
    }
}

fn rank(kind: MemoryKind) -> u8 {
    match kind {
        MemoryKind::Usable => 0,
        MemoryKind::Unaccepted => 1,
        MemoryKind::AcpiReclaimable => 2,
        MemoryKind::AcpiNvs => 3,
        MemoryKind::Reserved => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn normalised(entries: &[(u64, u64, u32)]) -> Vec<(usize, usize, MemoryKind)> {
        let mut map = MemoryMap::new();
        for &(start, len, kind) in entries {
            map.push(start, len, kind);
        }
        map.normalise();
        map.regions().iter().map(|r| (r.start, r.len, r.kind)).collect()
    }

    #[test]
    fn regions_come_out_sorted_and_merged() {
        let map =
            normalised(&[(0x3000, 0x1000, 1), (0x1000, 0x1000, 1), (0x2000, 0x1000, 1), (0x8000, 0x1000, 2)]);
        assert_eq!(map, [(0x1000, 0x3000, MemoryKind::Usable), (0x8000, 0x1000, MemoryKind::Reserved)]);
    }

    #[test]
    fn the_less_free_kind_wins_an_overlap() {
        let map = normalised(&[(0, 0x5000, 1), (0x1000, 0x2000, 3), (0x2000, 0x1000, 2)]);
        assert_eq!(
            map,
            [
                (0, 0x1000, MemoryKind::Usable),
                (0x1000, 0x1000, MemoryKind::AcpiReclaimable),
                (0x2000, 0x1000, MemoryKind::Reserved),
                (0x3000, 0x2000, MemoryKind::Usable)
            ]
        );
    }

    #[test]
    fn senseless_entries_are_dropped() {
        assert_eq!(normalised(&[(0x1000, 0, 1), (u64::MAX, 2, 1), (u64::MAX - 1, 3, 2)]), []);
    }

    #[test]
    fn too_many_entries_are_cut_off_and_told() {
        let mut map = MemoryMap::new();
        for i in 0..MAX_REGIONS as u64 + 1 {
            map.push(i * 0x2000, 0x1000, 1);
        }
        map.normalise();
        assert_eq!(map.regions().len(), MAX_REGIONS);
        assert!(map.is_truncated());
    }
}
