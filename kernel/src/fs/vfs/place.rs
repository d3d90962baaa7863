//! Where something is in the file tree, and where a process stands in it.

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Mount;
use crate::error::Result;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use ostd::sync::SpinLock;

/// A place: a mount and a dentry in it. Cheap to clone. What lookups return is always positive.
#[derive(Clone, Debug)]
pub struct Path {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The dentry in it.
    pub dentry: Arc<Dentry>,
}

impl Path {
    /// The root of a mount.
    pub fn root_of(mount: Arc<Mount>) -> Self {
        let dentry = mount.root().clone();
        Self { mount, dentry }
    }

    /// What is there. ENOENT only for places that were made for a missing name.
    pub fn inode(&self) -> Result<&Arc<dyn Inode>> {
        self.dentry.inode()
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.dentry.is_directory()
    }

    /// Whether both are the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// Whether it is its mount's root.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// The topmost mount's root if something is mounted here, else itself.
    pub fn into_top(mut self) -> Self {
        while self.dentry.is_mount_point() {
            match self.mount.child_at(&self.dentry) {
                Some(mount) => self = Self::root_of(mount),
                None => break,
            }
        }
        self
    }

    /// The directory above, across mounts; `None` at the top of all.
    pub fn parent(&self) -> Option<Self> {
        let mut at = self.clone();
        while at.is_mount_root() {
            at = at.mount.place()?;
        }
        let dentry = at.dentry.parent()?;
        Some(Self { mount: at.mount, dentry }.into_top())
    }

    /// The name as seen from `root`: absolute, with ` (deleted)` if it was removed; objects without a place show their own name
    /// (`pipe:[7]`). Without a way to `root`, the name from the top of its tree.
    pub fn to_bytes(&self, root: &Self) -> Vec<u8> {
        self.names_below(root).0
    }

    /// As [`Self::to_bytes`], and whether the way up really met `root` (getcwd says `(unreachable)` otherwise).
    pub fn names_below(&self, root: &Self) -> (Vec<u8>, bool) {
        if self.mount.super_block().is_pseudo() {
            return (self.dentry.name().to_vec(), true);
        }
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let mut at = self.clone();
        let mut is_reachable = true;
        while !at.is_same(root) {
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => {
                        is_reachable = false;
                        break;
                    }
                }
                continue;
            }
            let Some(parent) = at.dentry.parent() else {
                is_reachable = false;
                break;
            };
            names.push(at.dentry.name());
            at.dentry = parent;
        }
        let mut bytes = Vec::new();
        for name in names.iter().rev() {
            bytes.push(b'/');
            bytes.extend_from_slice(name);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        if self.dentry.is_removed() {
            bytes.extend_from_slice(b" (deleted)");
        }
        (bytes, is_reachable)
    }
}

/// Root, working directory and umask of a process.
#[derive(Debug)]
pub struct FsPlace {
    /// Root and working directory.
    paths: SpinLock<(Path, Path)>,
    umask: AtomicU32,
}

impl FsPlace {
    /// Both root and working directory at `root`, umask 022.
    pub fn new(root: Path) -> Self {
        Self { paths: SpinLock::new((root.clone(), root)), umask: AtomicU32::new(0o022) }
    }

    /// A copy for fork.
    pub fn duplicate(&self) -> Self {
        Self { paths: SpinLock::new(self.paths.lock().clone()), umask: AtomicU32::new(self.umask()) }
    }

    /// Root directory.
    pub fn root(&self) -> Path {
        self.paths.lock().0.clone()
    }

    /// Both.
    pub fn both(&self) -> (Path, Path) {
        self.paths.lock().clone()
    }

    /// Sets the root directory (chroot).
    pub fn set_root(&self, root: Path) {
        let old = core::mem::replace(&mut self.paths.lock().0, root);
        drop(old);
    }

    /// Sets the working directory (chdir).
    pub fn set_cwd(&self, cwd: Path) {
        let old = core::mem::replace(&mut self.paths.lock().1, cwd);
        drop(old);
    }

    /// Root and working directory move from `old` to `new` if they are there (pivot_root).
    pub fn move_along(&self, old: &Path, new: &Path) {
        let (root, cwd) = self.both();
        if root.is_same(old) {
            self.set_root(new.clone());
        }
        if cwd.is_same(old) {
            self.set_cwd(new.clone());
        }
    }

    /// umask(2).
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Sets the umask; returns the old one.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask & 0o777, Ordering::Relaxed)
    }
}
