//! Tables of ids of a user namespace (user_namespaces(7), "Interaction of user and group ID mappings"): what ids inside are called outside.
//!
//! [`IdMap::parse`] reads what is written to /proc/PID/uid_map, [`IdMap::through`] says it in the ids of the parent's own parent, and so in the
//! end in those that the kernel counts with.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

/// The most lines of a table.
pub const RANGES_MAX: usize = 340;

/// Consecutive ids. None of them is 4294967295, which means "no id" in many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one inside.
    pub inside: u32,
    /// The same one outside.
    pub outside: u32,
    /// How many follow each other; not 0.
    pub count: u32,
}

/// A table that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A table: no id is in two ranges, neither inside nor outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    ranges: Vec<Range>,
}

impl IdMap {
    /// Every id is itself.
    #[must_use]
    pub fn identity() -> Self {
        Self { ranges: alloc::vec![Range { inside: 0, outside: 0, count: u32::MAX }] }
    }

    /// Reads lines of `inside outside count`.
    ///
    /// # Errors
    /// For anything else, no line, too many, ranges that overlap or leave the numbers that there are; and if memory is short.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut map = Self { ranges: Vec::new() };
        for line in text.split(|&byte| byte == b'\n') {
            map.add(Range::parse(line).ok_or(Invalid)?)?;
        }
        Ok(map)
    }

    fn add(&mut self, range: Range) -> Result<(), Invalid> {
        let is_apart = |a: u32, b: u32, other: u32| {
            u64::from(a) + u64::from(range.count) <= u64::from(b)
                || u64::from(b) + u64::from(other) <= u64::from(a)
        };
        let fits = self.ranges.len() < RANGES_MAX
            && self.ranges.iter().all(|other| {
                is_apart(range.inside, other.inside, other.count)
                    && is_apart(range.outside, other.outside, other.count)
            });
        if !fits || self.ranges.try_reserve(1).is_err() {
            return Err(Invalid);
        }
        self.ranges.push(range);
        Ok(())
    }

    /// The same ids inside, with the ids outside as `parent` calls them outside of itself. `None` unless each range lies in one of `parent`'s.
    #[must_use]
    pub fn through(mut self, parent: &Self) -> Option<Self> {
        for range in &mut self.ranges {
            range.outside = parent.range_to_outside(range.outside, range.count)?;
        }
        Some(self)
    }

    fn range_to_outside(&self, first: u32, count: u32) -> Option<u32> {
        self.ranges.iter().find_map(|range| {
            let offset = first.checked_sub(range.inside)?;
            let fits = u64::from(offset) + u64::from(count) <= u64::from(range.count);
            fits.then(|| range.outside + offset)
        })
    }

    /// What `id` is called outside.
    #[must_use]
    pub fn to_outside(&self, id: u32) -> Option<u32> {
        self.range_to_outside(id, 1)
    }

    /// What `id`, from outside, is called inside.
    #[must_use]
    pub fn to_inside(&self, id: u32) -> Option<u32> {
        self.ranges.iter().find_map(|range| {
            let offset = id.checked_sub(range.outside)?;
            (offset < range.count).then(|| range.inside + offset)
        })
    }

    /// Its lines.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }
}

impl Range {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = core::str::from_utf8(line).ok()?;
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse::<u32>().ok());
        let range = Self { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? };
        // The last id of all is none, so that an end past it is an error.
        let ends_well = |first: u32| first.checked_add(range.count).is_some();
        let is_whole = numbers.next().is_none() && range.count > 0;
        (is_whole && ends_well(range.inside) && ends_well(range.outside)).then_some(range)
    }
}
