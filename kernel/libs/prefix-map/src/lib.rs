//! [`PrefixMap`]: values under IPv4 prefixes, found by longest match.
//!
//! One ordered map for all lengths and a mask of those in use: a look-up costs one search for each length that there is, which is a handful
//! in any real table, and a change costs one insertion. Crates with tries for this exist; they bring unsafe code or one value per prefix,
//! where routes of one prefix differ in their metric.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The longest prefix.
pub const MAX_LEN: u8 = 32;

/// Values under prefixes; those of one prefix in the order of their rank.
#[derive(Clone, Debug)]
pub struct PrefixMap<T> {
    /// Bit n: there are prefixes of length n.
    lengths: u64,
    values: BTreeMap<(u8, u32), Vec<(u32, T)>>,
    len: usize,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self { lengths: 0, values: BTreeMap::new(), len: 0 }
    }
}

/// The bits of `address` that a prefix of `len` bits keeps.
pub const fn network(address: u32, len: u8) -> u32 {
    match len {
        0 => 0,
        1..=31 => address & (u32::MAX << (MAX_LEN - len)),
        _ => address,
    }
}

impl<T> PrefixMap<T> {
    /// An empty map.
    pub const fn new() -> Self {
        Self { lengths: 0, values: BTreeMap::new(), len: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a value after those of the same prefix and of no higher `rank`. A `len` above 32 counts as 32.
    pub fn insert(&mut self, address: u32, len: u8, rank: u32, value: T) {
        let len = len.min(MAX_LEN);
        let list = self.values.entry((len, network(address, len))).or_default();
        let at = list.partition_point(|(other, _)| *other <= rank);
        list.insert(at, (rank, value));
        self.lengths |= 1 << len;
        self.len += 1;
    }

    /// The values of exactly this prefix, with their ranks.
    pub fn at(&self, address: u32, len: u8) -> impl Iterator<Item = (u32, &T)> {
        let len = len.min(MAX_LEN);
        let list = self.values.get(&(len, network(address, len)));
        list.into_iter().flatten().map(|(rank, value)| (*rank, value))
    }

    /// All values whose prefix holds `address`: the longest prefix first, and of one prefix the lowest rank first.
    pub fn matches(&self, address: u32) -> impl Iterator<Item = (u8, &T)> {
        (0..=MAX_LEN)
            .rev()
            .filter(|len| self.lengths & 1 << len != 0)
            .flat_map(move |len| self.at(address, len).map(move |(_, value)| (len, value)))
    }

    /// All values, with their networks and lengths, shortest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8, &T)> {
        self.values
            .iter()
            .flat_map(|((len, network), list)| list.iter().map(|(_, value)| (*network, *len, value)))
    }

    /// Takes out the values that `unwanted` names.
    pub fn extract(&mut self, mut unwanted: impl FnMut(u32, u8, &T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for ((len, network), list) in &mut self.values {
            let mut at = 0;
            while let Some((_, value)) = list.get(at) {
                if unwanted(*network, *len, value) {
                    taken.push(list.remove(at).1);
                } else {
                    at += 1;
                }
            }
        }
        self.values.retain(|_, list| !list.is_empty());
        self.lengths = self.values.keys().fold(0, |mask, (len, _)| mask | 1 << len);
        self.len -= taken.len();
        taken
    }
}
