//! A merged directory: each name once, at a position that stays for as long as the name does.
//!
//! Names of the first layer added keep the positions that they have there. So a directory that is read from one layer alone, and becomes a
//! merged one in between (copy-up), goes on where the reader was. All other names come after, in the order in which they were added.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

#[cfg(test)]
mod tests;

/// What a name stands for, without the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Inode number.
    pub ino: u64,
    /// File type.
    pub file_type: T,
}

/// Names by position and positions by name. A position is where the reader is *after* that name, so 0 is before all.
#[derive(Debug)]
pub struct Listing<T> {
    by_position: BTreeMap<u64, (Arc<[u8]>, Entry<T>)>,
    by_name: BTreeMap<Arc<[u8]>, u64>,
    next: u64,
}

impl<T: Copy> Listing<T> {
    /// Empty.
    pub const fn new() -> Self {
        Self { by_position: BTreeMap::new(), by_name: BTreeMap::new(), next: 1 }
    }

    /// Adds a name of the first layer, whose reader is at `position` after it.
    pub fn add_at(&mut self, position: u64, name: &[u8], entry: Entry<T>) {
        let name: Arc<[u8]> = Arc::from(name);
        self.by_name.insert(name.clone(), position);
        self.by_position.insert(position, (name, entry));
        self.next = self.next.max(position.saturating_add(1));
    }

    /// Adds a name behind all others. A name that is there stays where it is and becomes `entry`.
    pub fn add(&mut self, name: &[u8], entry: Entry<T>) {
        match self.by_name.get(name).and_then(|position| self.by_position.get_mut(position)) {
            Some((_, old)) => *old = entry,
            None => self.add_at(self.next, name, entry),
        }
    }

    /// Whether `name` is there.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some(position) = self.by_name.remove(name) {
            self.by_position.remove(&position);
        }
    }

    /// Up to `count` names after position `from`, each with its own position.
    pub fn batch(&self, from: u64, count: usize) -> Vec<(u64, Arc<[u8]>, Entry<T>)> {
        let Some(first) = from.checked_add(1) else { return Vec::new() };
        self.by_position
            .range(first..)
            .take(count)
            .map(|(&position, (name, entry))| (position, name.clone(), *entry))
            .collect()
    }
}

impl<T: Copy> Default for Listing<T> {
    fn default() -> Self {
        Self::new()
    }
}
