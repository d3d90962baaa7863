//! The trees below: one object of a layer, and the marks that overlayfs leaves in them.

use crate::error::{Errno, Result};
use crate::fs::vfs::dentry::Dentry;
use crate::fs::vfs::inode::{FileType, Inode};
use crate::fs::vfs::mount::Mount;
use alloc::sync::Arc;

/// Names of extended attributes that belong to overlayfs.
pub const ATTRIBUTES: &[u8] = b"trusted.overlay.";
/// `y` on a directory: what lower layers have by its name does not show through.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// On a copy: where it came from ([`coffer_overlay::origin`]).
const ORIGIN: &[u8] = b"trusted.overlay.origin";
/// Inode numbers of the layers' file systems stay below this bit; the file system's index goes above.
const INDEX_SHIFT: u32 = 48;

/// A tree.
#[derive(Debug)]
pub struct Layer {
    /// A mount of our own: neither unmounting nor mounting over the original changes what we see, and the file system stays.
    pub mount: Arc<Mount>,
    /// Which of the overlay's file systems it is on; 0 is the upper directory's, or else the top layer's.
    pub fs_index: u16,
}

/// An object of a layer.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the layer.
    pub dentry: Arc<Dentry>,
    /// The object.
    pub inode: Arc<dyn Inode>,
    /// As [`Layer::fs_index`].
    fs_index: u16,
}

impl Layer {
    /// Its root directory.
    pub fn root(&self) -> Result<Part> {
        Part::new(self.mount.root().clone(), self.fs_index)
    }
}

impl Part {
    /// ENOENT for an absence.
    pub fn new(dentry: Arc<Dentry>, fs_index: u16) -> Result<Self> {
        let inode = dentry.inode()?.clone();
        Ok(Self { dentry, inode, fs_index })
    }

    /// An object of the upper layer.
    pub fn new_upper(dentry: Arc<Dentry>) -> Result<Self> {
        Self::new(dentry, 0)
    }

    /// What `name` is in this directory; `None` for nothing.
    pub fn child(&self, name: &[u8]) -> Result<Option<Self>> {
        let dentry = self.dentry.child(name)?;
        if dentry.is_positive() { Self::new(dentry, self.fs_index).map(Some) } else { Ok(None) }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.dentry.is_directory()
    }

    /// Whether it is the mark that nothing has this name.
    pub fn is_whiteout(&self) -> bool {
        self.dentry.file_type() == Some(FileType::CharDevice) && self.inode.metadata().rdev == 0
    }

    /// Whether it is a directory that hides those below.
    pub fn is_opaque(&self) -> bool {
        self.inode.get_xattr(OPAQUE).is_ok_and(|value| value == b"y")
    }

    /// Makes it a directory that hides those below.
    pub fn set_opaque(&self) -> Result<()> {
        self.inode.set_xattr(OPAQUE, b"y", 0)
    }

    /// Notes that this copy keeps inode number `ino` in the overlay. A layer without attributes can do without it.
    pub fn set_origin(&self, ino: u64) -> Result<()> {
        match self.inode.set_xattr(ORIGIN, &coffer_overlay::origin::encode(ino), 0) {
            Err(error) if error.errno() == Errno::EOPNOTSUPP => Ok(()),
            result => result,
        }
    }

    /// Of the upper layer: the inode number in the overlay, which for a copy is the original's.
    pub fn ino(&self) -> u64 {
        let origin = match self.inode.get_xattr(ORIGIN) {
            Ok(value) => coffer_overlay::origin::decode(&value),
            Err(_) => None,
        };
        origin.unwrap_or_else(|| self.number(self.inode.metadata().ino))
    }

    /// Number `ino` of this layer's file system as the overlay shows it.
    pub fn number(&self, ino: u64) -> u64 {
        ino | u64::from(self.fs_index) << INDEX_SHIFT
    }
}
