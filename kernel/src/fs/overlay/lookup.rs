//! From a name to what the layers have by it.

use super::inode::{OverlayInode, Place};
use super::layer::Part;
use crate::error::Result;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What the layers have by a name.
#[derive(Debug, Default)]
pub struct Found {
    /// In the upper layer.
    pub upper: Option<Part>,
    /// In lower layers, the top one first: directories that show through, or one object of another type if there is no upper one.
    pub lower: Vec<Part>,
}

impl Found {
    /// Only in the upper layer.
    pub fn only_upper(upper: Part) -> Self {
        Self { upper: Some(upper), lower: Vec::new() }
    }

    /// The inode number: one that copying up does not change.
    pub fn ino(&self) -> u64 {
        match (self.lower.first(), &self.upper) {
            (Some(lower), _) => lower.number(lower.inode.metadata().ino),
            (None, Some(upper)) => upper.ino(),
            (None, None) => 0,
        }
    }

    /// Adds what the next layer down has; returns whether to look further down.
    fn push(&mut self, part: Part, is_upper: bool) -> bool {
        if part.is_whiteout() {
            return false;
        }
        let is_directory = part.is_directory();
        let is_first = self.upper.is_none() && self.lower.is_empty();
        if !is_directory && !is_first {
            // Hidden by the directory above, and hides what is below.
            return false;
        }
        let goes_on = is_directory && !part.is_opaque();
        if is_upper {
            self.upper = Some(part);
        } else {
            self.lower.push(part);
        }
        goes_on
    }
}

impl OverlayInode {
    /// What `name` is in this directory; `None` for nothing.
    pub fn find(&self, name: &[u8]) -> Result<Option<Found>> {
        let mut found = Found::default();
        let layers = self.upper().map(|part| (part, true)).into_iter();
        for (layer, is_upper) in layers.chain(self.lower().iter().map(|part| (part, false))) {
            if let Some(part) = layer.child(name)?
                && !found.push(part, is_upper)
            {
                break;
            }
        }
        let is_there = found.upper.is_some() || !found.lower.is_empty();
        Ok(is_there.then_some(found))
    }

    /// Whether a lower layer would show something by `name` if the upper one had nothing.
    pub fn shows_through(&self, name: &[u8]) -> Result<bool> {
        for lower in self.lower() {
            if let Some(part) = lower.child(name)? {
                return Ok(!part.is_whiteout());
            }
        }
        Ok(false)
    }

    /// The object for what was found by `name` in this directory.
    pub fn adopt(&self, name: &[u8], found: Found) -> Result<Arc<Self>> {
        let place = Place { parent: Some(self.to_arc()?), name: name.into(), is_removed: false };
        Self::new(&self.fs, found, place)
    }
}
