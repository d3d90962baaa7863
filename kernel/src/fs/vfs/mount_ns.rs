//! Mount namespaces: each a tree of mounts of its own (mount_namespaces(7)).

use super::dentry::Dentry;
use super::mount::{Home, Mount};
use super::place::{FsPlace, Path};
use super::propagation::{self, Propagation};
use super::tree_lock;
use crate::error::{Errno, Result};
use crate::process::namespace::user::UserNamespace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// A namespace.
#[derive(Debug)]
pub struct MountNs {
    id: u64,
    owner: Arc<UserNamespace>,
    root: SpinLock<Arc<Mount>>,
    /// How many mounts it has.
    mounts: AtomicUsize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// The most mounts in one namespace (Linux: fs.mount-max).
const MOUNTS_MAX: usize = 100_000;

impl MountNs {
    /// A namespace with `root` (and what is below it) as its tree.
    pub fn new(root: Arc<Mount>, owner: &Arc<UserNamespace>) -> Arc<Self> {
        let namespace = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            owner: owner.clone(),
            root: SpinLock::new(root.clone()),
            mounts: AtomicUsize::new(0),
        });
        root.set_home(&Home::Namespace(Arc::downgrade(&namespace)));
        namespace
    }

    /// A number of its own.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// The top of its tree.
    pub fn root_mount(&self) -> Arc<Mount> {
        self.root.lock().clone()
    }

    /// Its root directory: the topmost mount on the top of its tree. Where setns(2) puts a process.
    pub fn root(&self) -> Path {
        Path::root_of(self.root_mount()).into_top()
    }

    /// Makes another mount the top (pivot_root). [`tree_lock`] is held.
    pub(super) fn set_root_mount(&self, root: Arc<Mount>) {
        let old = core::mem::replace(&mut *self.root.lock(), root);
        drop(old);
    }

    /// All its mounts, parents first.
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        self.root_mount().tree()
    }

    /// A copy of the whole tree (CLONE_NEWNS) for `owner`. `place` — the caller's own by then — moves over to the copies.
    ///
    /// A less privileged owner gets no more than it is shown: flags and places stay as they are, and nothing that is mounted there reaches the
    /// others (mount_namespaces(7), "Restrictions on mount namespaces").
    ///
    /// # Errors
    /// ENOMEM.
    pub fn duplicate(&self, place: &FsPlace, owner: &Arc<UserNamespace>) -> Result<Arc<Self>> {
        let _tree = tree_lock::lock();
        let root = self.root_mount();
        let copies = copy_tree(&root, root.root().clone(), Copying::All)?;
        if !Arc::ptr_eq(owner, &self.owner) {
            for (_, copy) in &copies {
                if copy.sharing().group.is_some() {
                    propagation::set(copy, Propagation::Slave);
                }
                copy.lock();
            }
        }
        let new = Self::new(copies[0].1.clone(), owner);
        let moved = |path: Path| match copies.iter().find(|(old, _)| Arc::ptr_eq(old, &path.mount)) {
            Some((_, copy)) => Path { mount: copy.clone(), dentry: path.dentry },
            None => path,
        };
        let (root, cwd) = place.both();
        place.set_root(moved(root));
        place.set_cwd(moved(cwd));
        Ok(new)
    }

    /// ENOSPC if it has no room for more mounts.
    pub(super) fn check_room(&self, more: usize) -> Result<()> {
        if self.mounts.load(Ordering::Relaxed).saturating_add(more) > MOUNTS_MAX {
            return Err(Errno::ENOSPC.into());
        }
        Ok(())
    }

    /// `more` (or, below zero, fewer) mounts belong to it.
    pub(super) fn count(&self, more: isize) {
        self.mounts.fetch_add(more.cast_unsigned(), Ordering::Relaxed);
    }
}

/// Which mounts below the first a copy of a tree takes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copying {
    /// All of them, as they are (a new namespace).
    All,
    /// Those that may be bound elsewhere.
    Bindable,
}

/// Copies `from` shown from `root` on, and the mounts below; pairs of old and new, the top first. [`tree_lock`] is held.
///
/// # Errors
/// ENOMEM.
pub(super) fn copy_tree(
    from: &Arc<Mount>,
    root: Arc<Dentry>,
    copying: Copying,
) -> Result<Vec<(Arc<Mount>, Arc<Mount>)>> {
    let mut copies = Vec::new();
    let result = copy_into(&mut copies, from, root, copying);
    if result.is_err()
        && let Some((_, top)) = copies.first()
    {
        top.detach_tree();
    }
    result.map(|()| copies)
}

fn copy_into(
    copies: &mut Vec<(Arc<Mount>, Arc<Mount>)>,
    from: &Arc<Mount>,
    root: Arc<Dentry>,
    copying: Copying,
) -> Result<()> {
    copies.push((from.clone(), copy_one(from, root.clone())?));
    let mut at = 0;
    while at < copies.len() {
        let (old, new) = copies[at].clone();
        for child in old.children() {
            let Some(place) = child.place() else { continue };
            // Only what is below the part that is shown.
            if at == 0 && !place.dentry.is_within(&root) {
                continue;
            }
            if copying == Copying::Bindable && child.sharing().is_unbindable {
                continue;
            }
            let copy = copy_one(&child, child.root().clone())?;
            copy.attach(Path { mount: new.clone(), dentry: place.dentry });
            copies.push((child, copy));
        }
        at += 1;
    }
    Ok(())
}

fn copy_one(mount: &Mount, root: Arc<Dentry>) -> Result<Arc<Mount>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    Ok(mount.duplicate(root))
}

impl Drop for MountNs {
    fn drop(&mut self) {
        tree_lock::bury(self.root.get_mut().clone());
    }
}
