//! Where RAM is, for refusing to treat it as anything else: MMIO windows and BARs come from untrusted values.

use core::ops::Range;

use spin::Once;

use super::Paddr;
use super::early::{EarlyMap, MAX_RANGES};
use crate::boot::MemoryKind;

static RAM: Once<([Range<Paddr>; MAX_RANGES], usize)> = Once::new();

/// Remembers all that the firmware calls memory: usable or ACPI's; and what the loader left for us, whatever that is called.
pub(super) fn remember(map: &EarlyMap<'_>) {
    RAM.call_once(|| {
        let mut ranges = [const { 0..0 }; MAX_RANGES];
        let mut len = 0;
        let memory = map.regions.iter().filter(|r| r.kind != MemoryKind::Reserved);
        let memory = memory.map(|r| r.start..r.start.saturating_add(r.len));
        for (slot, range) in ranges.iter_mut().zip(map.reserved.iter().cloned().chain(memory)) {
            *slot = range;
            len += 1;
        }
        (ranges, len)
    });
}

/// Whether any byte of `range` is RAM.
pub(crate) fn overlaps(range: &Range<Paddr>) -> bool {
    RAM.get().is_none_or(|(ranges, len)| {
        ranges[..*len].iter().any(|ram| range.start < ram.end && ram.start < range.end)
    })
}
