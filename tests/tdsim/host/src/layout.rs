//! Where the loader puts things in the domain's memory, and the list of what memory is.

use std::ops::Range;

use coffer_tdsim_rules::layout::{HIGH_BASE, LARGE_PAGE, Memory};

/// The zero page of the Linux boot protocol.
pub const ZERO_PAGE: u64 = 0x1_0000;
/// The command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Where usable low memory ends.
pub const LOW_RAM_END: u64 = 0x9_f000;
/// Where memory goes on above what was once firmware and video memory.
pub const RAM_START: u64 = 0x10_0000;

/// What the loader itself leaves for good, in the last large page of low memory.
#[derive(Debug, Clone, Copy)]
pub struct Firmware(u64);

impl Firmware {
    /// For such memory.
    pub fn new(memory: &Memory) -> Self {
        Self(memory.low_end - LARGE_PAGE)
    }

    /// Page tables: the first 512 GiB at their own addresses.
    pub fn tables(&self) -> u64 {
        self.0
    }

    /// Segment descriptors.
    pub fn gdt(&self) -> u64 {
        self.0 + 0x2000
    }

    /// The mailbox.
    pub fn mailbox(&self) -> u64 {
        self.0 + 0x3000
    }

    /// The event log: where, and how much room it has.
    pub fn log(&self) -> (u64, u64) {
        (self.0 + 0x1_0000, 0x1_0000)
    }

    /// ACPI tables: where, and how much room they have.
    pub fn acpi(&self) -> (u64, u64) {
        (self.0 + 0x2_0000, 0x2_0000)
    }

    /// All of it that must stay as it is.
    pub fn nvs(&self) -> Range<u64> {
        self.0..self.acpi().0
    }

    /// What may be taken once the tables have been read.
    pub fn reclaimable(&self) -> Range<u64> {
        self.acpi().0..self.acpi().0 + self.acpi().1
    }
}

/// Kinds of memory in the E820 list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Usable.
    Ram = 1,
    /// ACPI tables.
    Acpi = 3,
    /// Not to be touched.
    Nvs = 4,
    /// Usable once it has been accepted. The number is not in ACPI: the boot stub uses it as well.
    Unaccepted = 8,
}

/// The E820 list: all memory, with what is accepted and what is not.
pub fn e820(memory: &Memory, accepted: &Ranges) -> Vec<(Range<u64>, Kind)> {
    let firmware = Firmware::new(memory);
    let mut list = vec![(firmware.nvs(), Kind::Nvs), (firmware.reclaimable(), Kind::Acpi)];
    for ram in ram(memory) {
        for piece in accepted.within(&ram) {
            list.push((piece, Kind::Ram));
        }
        for piece in accepted.complement(&ram) {
            list.push((piece, Kind::Unaccepted));
        }
    }
    list.sort_by_key(|(range, _)| range.start);
    list
}

/// Memory that the guest may use.
pub fn ram(memory: &Memory) -> Vec<Range<u64>> {
    let firmware = Firmware::new(memory);
    let behind = firmware.reclaimable().end..memory.low_end;
    let all = [0..LOW_RAM_END, RAM_START..firmware.nvs().start, behind, HIGH_BASE..memory.high_end];
    all.into_iter().filter(|range| !range.is_empty()).collect()
}

/// Ranges of addresses, sorted and apart from each other.
#[derive(Debug, Clone, Default)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range.
    pub fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.0.push(range);
        self.0.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in self.0.drain(..) {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        self.0 = merged;
    }

    /// What lies in `outer`.
    pub fn within(&self, outer: &Range<u64>) -> Vec<Range<u64>> {
        let pieces = self.0.iter().map(|range| range.start.max(outer.start)..range.end.min(outer.end));
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// What of `outer` is in none.
    pub fn complement(&self, outer: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = outer.start;
        for piece in self.within(outer) {
            gaps.push(at..piece.start);
            at = piece.end;
        }
        gaps.push(at..outer.end);
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }
}

#[cfg(test)]
mod tests {
    use coffer_tdsim_rules::layout::Memory;

    use super::{Kind, Ranges, e820};

    #[test]
    fn ranges_merge_and_have_gaps() {
        let mut ranges = Ranges::default();
        [10..20, 30..40, 20..25, 35..50].into_iter().for_each(|range| ranges.add(range));
        assert_eq!(ranges.within(&(0..100)), [10..25, 30..50]);
        assert_eq!(ranges.complement(&(12..60)), [25..30, 50..60]);
    }

    #[test]
    fn the_list_has_all_memory_once() {
        let memory = Memory::new(4 << 30);
        let mut accepted = Ranges::default();
        accepted.add(0..64 << 20);
        let list = e820(&memory, &accepted);
        let sum: u64 = list.iter().map(|(range, _)| range.end - range.start).sum();
        assert_eq!(sum, memory.size() - (0x10_0000 - 0x9_f000));
        assert!(list.windows(2).all(|pair| pair[0].0.end <= pair[1].0.start));
        assert_eq!(list[0], (0..0x9_f000, Kind::Ram));
        assert_eq!(list.last().unwrap().1, Kind::Unaccepted);
    }
}
