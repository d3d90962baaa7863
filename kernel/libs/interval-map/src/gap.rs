//! Finding room.

use super::IntervalMap;
use core::ops::Range;

impl<V> IntervalMap<V> {
    /// The highest start of a free stretch of `len` units in `within`, a multiple of `align` (a power of two). The search goes down from the
    /// top and stops at the first fit: new areas lie directly below old ones, so it is short for a process that only maps.
    pub fn gap_from_top(&self, within: Range<usize>, len: usize, align: usize) -> Option<usize> {
        let fits = |low: usize, high: usize| {
            let start = high.checked_sub(len)? & !(align - 1);
            (start >= low).then_some(start)
        };
        let mut high = within.end;
        for (entry, _) in self.overlapping(within.clone()).rev() {
            if let Some(start) = fits(entry.end.max(within.start), high) {
                return Some(start);
            }
            high = high.min(entry.start);
        }
        fits(within.start, high)
    }

    /// The lowest start of a free stretch of `len` units in `within`, a multiple of `align` (a power of two).
    pub fn gap_from_bottom(&self, within: Range<usize>, len: usize, align: usize) -> Option<usize> {
        let fits = |low: usize, high: usize| {
            let start = low.checked_add(align - 1)? & !(align - 1);
            (start.checked_add(len)? <= high).then_some(start)
        };
        let mut low = within.start;
        for (entry, _) in self.overlapping(within.clone()) {
            if let Some(start) = fits(low, entry.start.min(within.end)) {
                return Some(start);
            }
            low = low.max(entry.end);
        }
        fits(low, within.end)
    }
}
