//! The entries of one directory: by name, and by a position that never changes, so that readdir neither skips nor repeats what stays.

use super::inode::TmpfsInode;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Positions 0 and 1 are "." and "..".
pub const FIRST_POSITION: u64 = 2;

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: Arc<[u8]>,
    /// What it names.
    pub inode: Arc<TmpfsInode>,
}

/// All entries.
#[derive(Debug)]
pub struct Entries {
    by_name: BTreeMap<Arc<[u8]>, u64>,
    by_position: BTreeMap<u64, Entry>,
    next_position: u64,
}

impl Entries {
    /// None.
    pub fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_position: BTreeMap::new(), next_position: FIRST_POSITION }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// What `name` names.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<TmpfsInode>> {
        let position = self.by_name.get(name)?;
        self.by_position.get(position).map(|entry| &entry.inode)
    }

    /// Adds an entry, or puts `inode` in the place of the one that is there; returns that.
    pub fn put(&mut self, name: &[u8], inode: Arc<TmpfsInode>) -> Option<Arc<TmpfsInode>> {
        if let Some(entry) = self.by_name.get(name).and_then(|position| self.by_position.get_mut(position)) {
            return Some(core::mem::replace(&mut entry.inode, inode));
        }
        let name: Arc<[u8]> = Arc::from(name);
        self.by_name.insert(name.clone(), self.next_position);
        self.by_position.insert(self.next_position, Entry { name, inode });
        self.next_position += 1;
        None
    }

    /// Takes an entry away.
    pub fn take(&mut self, name: &[u8]) -> Option<Arc<TmpfsInode>> {
        let position = self.by_name.remove(name)?;
        self.by_position.remove(&position).map(|entry| entry.inode)
    }

    /// Up to `count` entries from `position` on, with their positions.
    pub fn batch(&self, position: u64, count: usize) -> Vec<(u64, Entry)> {
        self.by_position.range(position..).take(count).map(|(at, entry)| (*at, entry.clone())).collect()
    }

    /// All that is named here; the directory is empty afterwards.
    pub fn take_all(&mut self) -> impl Iterator<Item = Arc<TmpfsInode>> + use<> {
        self.by_name.clear();
        core::mem::take(&mut self.by_position).into_values().map(|entry| entry.inode)
    }
}
