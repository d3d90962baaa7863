//! The memory map in the form that the kernel reads: E820 entries of 20 bytes.

/// Bytes of one entry: address, length (64 bits each), kind (32 bits).
pub const ENTRY_SIZE: usize = 20;

/// What a range of physical memory may be used for; the numbers are those of the ACPI specification (15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Free for the kernel once boot services have ended.
    Ram = 1,
    /// Not for use.
    Reserved = 2,
    /// ACPI tables; free once they were read.
    AcpiReclaimable = 3,
    /// ACPI's storage; not for use.
    AcpiNvs = 4,
    /// Memory with errors.
    Unusable = 5,
    /// Byte-addressable persistent memory.
    Persistent = 7,
    /// Free for the kernel of a trust domain once it has accepted it. ACPI has no number for it; this is td-shim's.
    Unaccepted = 8,
}

/// A range of physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it may be used for.
    pub kind: Kind,
}

/// Merges neighbours of one kind. `ranges` must be sorted by address.
pub fn merged(ranges: impl Iterator<Item = Range>) -> impl Iterator<Item = Range> {
    let mut ranges = ranges.filter(|range| range.len > 0).peekable();
    core::iter::from_fn(move || {
        let mut merged = ranges.next()?;
        while let Some(next) = ranges.next_if(|next| {
            next.kind == merged.kind && merged.start.checked_add(merged.len) == Some(next.start)
        }) {
            merged.len = merged.len.checked_add(next.len)?;
        }
        Some(merged)
    })
}

/// Fills two tables one after the other with entries, and says how many bytes it wrote to each.
///
/// # Errors
/// If both are too small; that many entries were left out.
pub fn write(
    ranges: impl Iterator<Item = Range>,
    first: &mut [u8],
    second: &mut [u8],
) -> Result<(usize, usize), usize> {
    let first_len = first.len() - first.len() % ENTRY_SIZE;
    let (mut in_first, mut in_second, mut left_out) = (0, 0, 0);
    let mut slots = first.chunks_exact_mut(ENTRY_SIZE).chain(second.chunks_exact_mut(ENTRY_SIZE));
    for range in ranges {
        let Some(slot) = slots.next() else {
            left_out += 1;
            continue;
        };
        let (start, rest) = slot.split_at_mut(8);
        let (len, kind) = rest.split_at_mut(8);
        start.copy_from_slice(&range.start.to_le_bytes());
        len.copy_from_slice(&range.len.to_le_bytes());
        kind.copy_from_slice(&(range.kind as u32).to_le_bytes());
        if in_first < first_len { in_first += ENTRY_SIZE } else { in_second += ENTRY_SIZE }
    }
    if left_out > 0 { Err(left_out) } else { Ok((in_first, in_second)) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::{ENTRY_SIZE, Kind, Range, merged, write};

    fn range(start: u64, len: u64, kind: Kind) -> Range {
        Range { start, len, kind }
    }

    #[test]
    fn only_neighbours_of_one_kind_merge() {
        let ranges = [
            range(0, 4096, Kind::Ram),
            range(4096, 4096, Kind::Ram),
            range(8192, 4096, Kind::AcpiNvs),
            range(12_288, 0, Kind::Ram),
            range(16_384, 4096, Kind::AcpiNvs),
        ];
        let merged: Vec<_> = merged(ranges.into_iter()).collect();
        assert_eq!(
            merged,
            [range(0, 8192, Kind::Ram), range(8192, 4096, Kind::AcpiNvs), range(16_384, 4096, Kind::AcpiNvs)]
        );
    }

    #[test]
    fn entries_overflow_into_the_second_table() {
        let ranges = || (0..3).map(|index| range(index * 8192, 4096, Kind::Ram));
        let (mut first, mut second) = ([0; ENTRY_SIZE + 7], [0; ENTRY_SIZE * 4]);
        assert_eq!(write(ranges(), &mut first, &mut second), Ok((ENTRY_SIZE, 2 * ENTRY_SIZE)));
        assert_eq!(second[ENTRY_SIZE..ENTRY_SIZE + 8], 16_384_u64.to_le_bytes());
        assert_eq!(write(ranges(), &mut first, &mut []), Err(2));
    }
}
