//! overlayfs: several directory trees shown as one; changes go to the top one (<https://docs.kernel.org/filesystems/overlayfs.html>).
//!
//! An [`OverlayInode`] stands for one merged object for as long as anybody holds it, also when it is copied from a lower layer to the upper
//! one: so nothing that the dentry cache knows becomes wrong. It reads straight from the object below, with no state for an open file.
//! Layers are changed through their own dentries, so whoever looks at the upper directory itself sees the truth.
//!
//! Start reading at [`inode`] (what an object is) and [`mount`]; [`lookup`] merges names, [`copy_up`] copies, [`change`] makes, removes and
//! renames, [`read_dir`] lists, [`work`] is where changes are prepared so that they appear in one step, [`layer`] knows the marks.
//!
//! No directory is redirected: renaming one that exists in a lower layer fails with EXDEV, as with Linux's `redirect_dir=off`.

mod change;
mod copy_up;
mod inode;
mod layer;
mod lookup;
mod mount;
mod read_dir;
mod work;

use super::vfs::file_system::{self, MountRequest, Statistics, SuperBlockOps};
use crate::error::{Errno, Error, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use alloc::vec::Vec;
use inode::OverlayInode;
use layer::Layer;
use ostd::sync::SpinLock;
use work::Work;

/// One instance.
#[derive(Debug)]
struct Overlay {
    device: u64,
    /// How many overlays are below this one, itself included.
    depth: u32,
    upper: Option<Layer>,
    /// The top one first.
    lower: Vec<Layer>,
    /// `None`: nothing can be changed.
    work: Option<Work>,
    /// As given to mount(2).
    options: Vec<u8>,
    is_volatile: bool,
    /// Objects with several names, by the address of the upper inode (which they hold): all names must lead to the same object.
    shared: SpinLock<BTreeMap<usize, Weak<OverlayInode>>>,
}

/// Registers overlay.
pub fn register() {
    file_system::register(&mount::Driver);
}

impl Overlay {
    /// Where changes are prepared; EROFS if there can be none.
    fn work(&self) -> Result<&Work> {
        self.work.as_ref().ok_or(Errno::EROFS.into())
    }

    /// The layer that new objects go to, or the one that is looked at first.
    fn top(&self) -> Option<&Layer> {
        self.upper.as_ref().or(self.lower.first())
    }
}

impl SuperBlockOps for Overlay {
    fn statistics(&self) -> Statistics {
        self.top().map(|layer| layer.mount.super_block().ops().statistics()).unwrap_or_default()
    }

    fn sync(&self) -> Result<()> {
        match &self.upper {
            Some(upper) if !self.is_volatile => upper.mount.super_block().ops().sync(),
            _ => Ok(()),
        }
    }

    fn show_options(&self, out: &mut Vec<u8>) {
        out.push(b',');
        out.extend_from_slice(&self.options);
    }

    fn remount(&self, request: &MountRequest<'_>) -> Result<()> {
        if self.work.is_none() && !request.read_only {
            return Err(Error::with(Errno::EROFS, "overlay: there is no upper directory to write to"));
        }
        Ok(())
    }
}
