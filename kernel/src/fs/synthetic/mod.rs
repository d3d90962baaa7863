//! File systems whose contents are made when they are read: what procfs and sysfs are built of.
//!
//! A [`Directory`] holds entries that were put into it, and may have a [`Listing`] of others that come and go; a [`TextFile`] is shown
//! (and maybe changed) by a [`Source`]; a [`Link`] leads to a name or, by magic, to a place.

mod directory;
mod file;
mod link;
mod text;

pub use directory::{Directory, Emit, Listing};
pub use file::{Reading, Source, TextFile};
pub use link::{Link, Target};
pub use text::Text;

use super::vfs::inode::{Attributes, FileType, Metadata, Timestamp};
use crate::error::{Errno, Result};
use core::sync::atomic::{AtomicU64, Ordering};

/// Who owns an object: user and group.
pub type Owner = (u32, u32);

/// What all objects of one instance share.
#[derive(Debug)]
pub struct Volume {
    device: u64,
    next_inode: AtomicU64,
    born: Timestamp,
}

/// What stat(2) says of an object, but for its owner.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    device: u64,
    ino: u64,
    file_type: FileType,
    permissions: u32,
    born: Timestamp,
}

impl Volume {
    /// An instance with that device number. Its objects get inode numbers from 1 to 2^32; others are for those who number their own.
    pub fn new(device: u64) -> Self {
        Self { device, next_inode: AtomicU64::new(1), born: Timestamp::now() }
    }

    /// The device number.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// For an object with the next number.
    pub fn next_face(&self, file_type: FileType, permissions: u32) -> Face {
        let ino = self.next_inode.fetch_add(1, Ordering::Relaxed);
        Face { device: self.device, ino, file_type, permissions, born: self.born }
    }

    /// For an object with a number of its own.
    pub fn face(&self, ino: u64, file_type: FileType, permissions: u32) -> Face {
        Face { device: self.device, ino, file_type, permissions, born: Timestamp::now() }
    }
}

impl Face {
    /// For stat(2).
    pub fn metadata(&self, (uid, gid): Owner, links: u32, size: u64) -> Metadata {
        Metadata {
            dev: self.device,
            ino: self.ino,
            file_type: self.file_type,
            permissions: self.permissions,
            links,
            uid,
            gid,
            rdev: 0,
            size,
            blocks: 0,
            block_size: 1024,
            accessed: self.born,
            modified: self.born,
            changed: self.born,
        }
    }
}

/// open(2) with O_TRUNC asks for size 0, which such files always have; all else stays as it is.
fn refuse_change(change: &Attributes) -> Result<()> {
    let Attributes { permissions, uid, gid, .. } = change;
    if permissions.or(*uid).or(*gid).is_some() { Err(Errno::EPERM.into()) } else { Ok(()) }
}
