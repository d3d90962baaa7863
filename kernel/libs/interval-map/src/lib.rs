//! A map from disjoint half-open ranges of addresses to values, for the areas of an address space.
//!
//! [`IntervalMap`] keeps entries sorted by start in a B-tree. A value says by [`Interval`] how it is cut in two and when two
//! neighbours are one; the map does the rest: lookups, cutting out, isolating at edges, merging, and finding gaps.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod gap;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, TryReserveError};
use alloc::vec::Vec;
use core::ops::Range;
use gap::Packed;

/// How a value behaves when its range is cut or meets a neighbour.
pub trait Interval: Sized {
    /// Cuts the value: `self` keeps the first `offset` units, the rest is returned.
    fn split_off(&mut self, offset: usize) -> Self;

    /// Whether `self`, `len` units long, and `next`, which begins where it ends, can be one entry with `self`'s value.
    fn continues_in(&self, len: usize, next: &Self) -> bool;
}

/// Disjoint ranges and their values, in order. Ranges are never empty.
#[derive(Clone, Debug)]
pub struct IntervalMap<V> {
    entries: BTreeMap<usize, Entry<V>>,
    packed: Packed,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    end: usize,
    value: V,
}

impl<V> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> IntervalMap<V> {
    /// Without entries.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), packed: Packed::NOTHING }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry that covers `at`.
    pub fn get(&self, at: usize) -> Option<(Range<usize>, &V)> {
        let (&start, entry) = self.entries.range(..=at).next_back()?;
        (at < entry.end).then_some((start..entry.end, &entry.value))
    }

    /// The value that covers `at`, to change; its neighbours are not merged with it.
    pub fn get_mut(&mut self, at: usize) -> Option<(Range<usize>, &mut V)> {
        let (&start, entry) = self.entries.range_mut(..=at).next_back()?;
        (at < entry.end).then_some((start..entry.end, &mut entry.value))
    }

    /// The first entry that ends after `at`: the one that covers it or the next one.
    pub fn at_or_after(&self, at: usize) -> Option<(Range<usize>, &V)> {
        self.overlapping(at..usize::MAX).next()
    }

    /// The last entry that begins before `at`.
    pub fn before(&self, at: usize) -> Option<(Range<usize>, &V)> {
        let (&start, entry) = self.entries.range(..at).next_back()?;
        Some((start..entry.end, &entry.value))
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Range<usize>, &V)> {
        self.entries.iter().map(|(&start, entry)| (start..entry.end, &entry.value))
    }

    /// The entries that have something in `range`, with their whole ranges.
    pub fn overlapping(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = (Range<usize>, &V)> {
        // The entry that covers `range.start` begins at or before it.
        let first = self.get(range.start).map_or(range.start, |(r, _)| r.start);
        self.entries
            .range(first..range.end.max(first))
            .map(|(&start, entry)| (start..entry.end, &entry.value))
    }

    /// Whether nothing is in `range`.
    pub fn is_free(&self, range: Range<usize>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Whether entries cover all of `range`, without gaps.
    pub fn covers(&self, range: Range<usize>) -> bool {
        let mut reached = range.start;
        for (entry, _) in self.overlapping(range.clone()) {
            if entry.start > reached {
                return false;
            }
            reached = entry.end;
        }
        reached >= range.end
    }

    /// Moves the start of the entry that begins at `start` down to `new_start`; the room must be free. The value stays as it is.
    pub fn extend_down(&mut self, start: usize, new_start: usize) {
        if new_start < start
            && self.is_free(new_start..start)
            && let Some(entry) = self.entries.remove(&start)
        {
            self.entries.insert(new_start, entry);
        }
    }
}

impl<V: Interval> IntervalMap<V> {
    /// Adds an entry; what was in `range` must have been cut out. Does not merge: see [`Self::merge`].
    pub fn insert(&mut self, range: Range<usize>, value: V) {
        debug_assert!(!range.is_empty() && self.is_free(range.clone()), "the range must be free");
        self.entries.insert(range.start, Entry { end: range.end, value });
    }

    /// Takes out everything in `range`, cutting entries at its edges.
    ///
    /// # Errors
    /// Without memory for the list of what comes out; nothing has changed then.
    pub fn cut(&mut self, range: Range<usize>) -> Result<Vec<(Range<usize>, V)>, TryReserveError> {
        let mut out = Vec::new();
        out.try_reserve_exact(self.overlapping(range.clone()).count())?;
        self.isolate(range.clone());
        self.loosen(range.end);
        while let Some((&start, _)) = self.entries.range(range.clone()).next() {
            if let Some(entry) = self.entries.remove(&start) {
                out.push((start..entry.end, entry.value));
            }
        }
        Ok(out)
    }

    /// Cuts entries at the edges of `range`, so that each lies inside or outside of it.
    pub fn isolate(&mut self, range: Range<usize>) {
        self.split_at(range.start);
        self.split_at(range.end);
    }

    /// The entries in `range`, to change. Call [`Self::isolate`] before and [`Self::merge`] after.
    pub fn inside_mut(&mut self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, &mut V)> {
        self.entries
            .range_mut(range.start..range.end.max(range.start))
            .map(|(&start, entry)| (start..entry.end, &mut entry.value))
    }

    /// Makes one entry of neighbours that can be one, in `range` and at its edges.
    pub fn merge(&mut self, range: Range<usize>) {
        let Some((first, _)) = self.before(range.start).or_else(|| self.at_or_after(range.start)) else {
            return;
        };
        let mut start = first.start;
        loop {
            let Some(entry) = self.entries.get(&start) else { return };
            let end = entry.end;
            let one =
                self.entries.get(&end).is_some_and(|next| entry.value.continues_in(end - start, &next.value));
            if one {
                let next_end = self.entries.remove(&end).map_or(end, |next| next.end);
                if let Some(entry) = self.entries.get_mut(&start) {
                    entry.end = next_end;
                }
            } else {
                let Some((&next, _)) = self.entries.range(end..).next() else { return };
                if next > range.end {
                    return;
                }
                start = next;
            }
        }
    }

    fn split_at(&mut self, at: usize) {
        let Some((&start, entry)) = self.entries.range_mut(..at).next_back() else { return };
        if at < entry.end {
            let value = entry.value.split_off(at - start);
            let end = core::mem::replace(&mut entry.end, at);
            self.entries.insert(at, Entry { end, value });
        }
    }
}
