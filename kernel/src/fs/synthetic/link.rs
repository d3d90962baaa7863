//! Symbolic links that are made when they are read.

use super::{Face, Owner, refuse_change};
use crate::error::Result;
use crate::fs::vfs::inode::{Attributes, Inode, Metadata};
use crate::fs::vfs::place::Path;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where a link leads.
pub trait Target: Send + Sync + core::fmt::Debug + 'static {
    /// What readlink(2) says.
    fn name(&self) -> Result<Vec<u8>>;

    /// The place itself, of links that do not lead by name.
    fn place(&self) -> Option<Result<Path>> {
        None
    }

    /// Who owns it.
    fn owner(&self) -> Owner {
        (0, 0)
    }
}

/// A link.
#[derive(Debug)]
pub struct Link {
    face: Face,
    target: Arc<dyn Target>,
}

impl Link {
    /// A link to `target`.
    pub fn new(face: Face, target: Arc<dyn Target>) -> Arc<Self> {
        Arc::new(Self { face, target })
    }
}

impl Target for &'static str {
    fn name(&self) -> Result<Vec<u8>> {
        Ok(self.as_bytes().to_vec())
    }
}

impl Target for alloc::string::String {
    fn name(&self) -> Result<Vec<u8>> {
        Ok(self.as_bytes().to_vec())
    }
}

impl Target for fn() -> Result<Vec<u8>> {
    fn name(&self) -> Result<Vec<u8>> {
        self()
    }
}

impl Inode for Link {
    fn metadata(&self) -> Metadata {
        self.face.metadata(self.target.owner(), 1, 0)
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        refuse_change(change)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        self.target.name()
    }

    fn follow_magic(&self) -> Option<Result<Path>> {
        self.target.place()
    }
}
