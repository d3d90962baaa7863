//! Listing a merged directory.
//!
//! What only one layer has is read from there, with its positions. A [`Listing`] is built when several have a part in it; it takes over the
//! positions of the layer that the directory may have been read from until then.

use super::inode::OverlayInode;
use super::layer::Part;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::{DirEntry, FileType};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use coffer_overlay::{Entry, Listing};

/// Names copied out of a listing at a time.
const BATCH: usize = 32;

/// A name of one layer.
struct Name {
    name: Box<[u8]>,
    position: u64,
    entry: Entry<FileType>,
    is_whiteout: bool,
}

impl OverlayInode {
    /// Calls `emit` for each entry after `from`, until it says `false`.
    pub fn list(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.listing()?;
        match (self.upper(), self.lower()) {
            (Some(single), []) | (None, [single]) => self.list_single(single, from, emit),
            _ => self.list_merged(from, emit),
        }
    }

    /// ENOTEMPTY if it shows anything.
    pub fn check_empty(&self) -> Result<()> {
        let mut is_empty = true;
        self.list(0, &mut |entry| {
            is_empty = is_dot(entry.name);
            is_empty
        })?;
        if is_empty { Ok(()) } else { Err(Errno::ENOTEMPTY.into()) }
    }

    fn list_single(&self, layer: &Part, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let parent_ino = self.parent_ino();
        let is_upper = self.upper().is_some();
        layer.inode.read_dir(from, &mut |entry| {
            if is_whiteout(layer, &entry) {
                return true;
            }
            let ino = match entry.name {
                b"." => self.ino(),
                b".." => parent_ino,
                // A copy has kept its number.
                name if is_upper => self.child_ino(name).unwrap_or(entry.ino),
                _ => layer.number(entry.ino),
            };
            emit(DirEntry { ino, ..entry })
        })
    }

    fn list_merged(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let parent_ino = self.parent_ino();
        let mut from = from;
        loop {
            // `emit` may sleep: not under the lock.
            let batch = {
                let mut listing = self.listing()?.lock();
                if listing.is_none() {
                    *listing = Some(self.merge()?);
                }
                listing.as_ref().map(|listing| listing.batch(from, BATCH)).unwrap_or_default()
            };
            let Some(&(last, ..)) = batch.last() else { return Ok(()) };
            for (next, name, entry) in &batch {
                let ino = if **name == *b".." { parent_ino } else { entry.ino };
                let file_type = entry.file_type;
                if !emit(DirEntry { name, ino, file_type, next: *next }) {
                    return Ok(());
                }
            }
            from = last;
        }
    }

    /// All names of all layers, each once, without those that whiteouts hide.
    fn merge(&self) -> Result<Listing<FileType>> {
        let mut listing = Listing::new();
        let mut hidden: BTreeSet<Box<[u8]>> = BTreeSet::new();
        let upper = self.upper().map(names).transpose()?.unwrap_or_default();
        for name in &upper {
            if name.is_whiteout {
                hidden.insert(name.name.clone());
            }
        }
        let Some((first, rest)) = self.lower().split_first() else { return Ok(listing) };
        for name in names(first)? {
            if !hidden.contains(&name.name) && !name.is_whiteout {
                let ino = if *name.name == *b"." { self.ino() } else { name.entry.ino };
                listing.add_at(name.position, &name.name, Entry { ino, ..name.entry });
            }
            if name.is_whiteout {
                hidden.insert(name.name);
            }
        }
        for name in upper.iter().filter(|name| !name.is_whiteout && !is_dot(&name.name)) {
            let ino = self.child_ino(&name.name).unwrap_or(name.entry.ino);
            listing.add(&name.name, Entry { ino, ..name.entry });
        }
        for layer in rest {
            for name in names(layer)? {
                if hidden.contains(&name.name) || listing.contains(&name.name) {
                    continue;
                }
                if name.is_whiteout {
                    hidden.insert(name.name);
                } else {
                    listing.add(&name.name, name.entry);
                }
            }
        }
        Ok(listing)
    }

    fn child_ino(&self, name: &[u8]) -> Option<u64> {
        self.find(name).ok().flatten().map(|found| found.ino())
    }
}

/// All names of a layer's directory, with the numbers that the overlay shows.
fn names(layer: &Part) -> Result<Vec<Name>> {
    let mut names: Vec<Name> = Vec::new();
    let mut result = Ok(());
    layer.inode.read_dir(0, &mut |entry| {
        if names.try_reserve(1).is_err() || ostd::mm::is_exhausted() {
            result = Err(Errno::ENOMEM.into());
            return false;
        }
        names.push(Name {
            name: entry.name.into(),
            position: entry.next,
            entry: Entry { ino: layer.number(entry.ino), file_type: entry.file_type },
            is_whiteout: is_whiteout(layer, &entry),
        });
        true
    })?;
    result.map(|()| names)
}

/// Whether `entry` of `layer` is a whiteout. Only device nodes need a look.
fn is_whiteout(layer: &Part, entry: &DirEntry<'_>) -> bool {
    entry.file_type == FileType::CharDevice
        && matches!(layer.child(entry.name), Ok(Some(part)) if part.is_whiteout())
}

fn is_dot(name: &[u8]) -> bool {
    name == b"." || name == b".."
}
