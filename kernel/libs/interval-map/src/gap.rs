//! Finding room.

use super::IntervalMap;
use core::ops::Range;

/// What a search from the top has seen: there is no free stretch of `gap` units in `above..top`. The next one need not look there again,
/// which would make many mappings take time that grows with the square of their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    above: usize,
    top: usize,
    gap: usize,
}

impl Packed {
    /// Nothing has been seen.
    pub const NOTHING: Self = Self { above: usize::MAX, top: usize::MAX, gap: 1 };
}

impl<V> IntervalMap<V> {
    /// The highest start of a free stretch of `len` units in `within`, a multiple of `align` (a power of two). The search goes down from the
    /// top, or from where the last one found that all above is too short, and stops at the first fit.
    pub fn gap_from_top(&mut self, within: Range<usize>, len: usize, align: usize) -> Option<usize> {
        let fits = |low: usize, high: usize| {
            let start = high.checked_sub(len)? & !(align - 1);
            (start >= low).then_some(start)
        };
        let known = self.packed;
        let is_known = len >= known.gap && within.end <= known.top && known.above < within.end;
        let mut seen = if is_known { known } else { Packed { above: within.end, top: within.end, gap: 1 } };
        let mut found = None;
        for (entry, _) in self.overlapping(within.start..seen.above).rev() {
            let low = entry.end.max(within.start);
            found = fits(low, seen.above);
            if found.is_some() {
                break;
            }
            seen.gap = seen.gap.max(seen.above.saturating_sub(low).saturating_add(1));
            seen.above = seen.above.min(entry.start);
        }
        self.packed = seen;
        found.or_else(|| fits(within.start, seen.above))
    }

    /// What ends at `end` goes: the free stretch that it leaves reaches up to the next entry.
    pub(super) fn loosen(&mut self, end: usize) {
        if end > self.packed.above {
            self.packed.above = self.entries.range(end..).next().map_or(usize::MAX, |(&start, _)| start);
        }
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
