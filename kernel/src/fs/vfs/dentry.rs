//! Cached edges from a name in a directory to an inode, or to the knowledge that there is none.
//!
//! A [`Dentry`]'s inode never changes: what was removed leaves its parent's table and lives on for those who hold it. Hits take one spin lock
//! and copy one reference. All *changes* of a directory happen under its [`Dentry::lock_directory`]; operations are in [`super::edit`].
//! Parents hold children in their tables (that is the cache) and children hold parents; [`Dentry::forget_tree`] and the shrinker
//! ([`super::dentry_cache`]) cut these circles.

use super::dentry_cache;
use super::inode::{FileType, Inode};
use crate::error::{Errno, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use hashbrown::HashTable;
use ostd::sync::{Mutex, MutexGuard, SpinLock};

/// In its parent's table.
const HASHED: u8 = 1;
/// Used since the shrinker last looked.
const REFERENCED: u8 = 2;
/// Its name was removed: nothing may be added to it.
const REMOVED: u8 = 4;
/// It never had a name and may yet be given one (O_TMPFILE).
const LINKABLE: u8 = 8;

/// A cached name.
pub struct Dentry {
    inode: Option<Arc<dyn Inode>>,
    file_type: Option<FileType>,
    state: AtomicU8,
    /// How many mounts, in all namespaces, sit on it.
    mounts: AtomicU32,
    edge: SpinLock<Edge>,
    directory: Option<Box<Directory>>,
}

struct Edge {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

struct Directory {
    children: SpinLock<HashTable<Child>>,
    changes: Mutex<()>,
    must_revalidate: bool,
}

struct Child {
    name: Arc<[u8]>,
    dentry: Arc<Dentry>,
}

impl Dentry {
    /// The root of a file system, or an object without a place in any tree (`name` is then what /proc shows).
    pub fn new_root(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        Self::new(Some(inode), None, Arc::from(name))
    }

    /// An unnamed file (O_TMPFILE) below `parent`; with `is_linkable` linkat(2) may name it later.
    pub fn new_unnamed(
        inode: Arc<dyn Inode>,
        parent: &Arc<Self>,
        name: &[u8],
        is_linkable: bool,
    ) -> Arc<Self> {
        let dentry = Self::new(Some(inode), Some(parent.clone()), Arc::from(name));
        dentry.state.fetch_or(if is_linkable { REMOVED | LINKABLE } else { REMOVED }, Ordering::Relaxed);
        dentry
    }

    fn new(inode: Option<Arc<dyn Inode>>, parent: Option<Arc<Self>>, name: Arc<[u8]>) -> Arc<Self> {
        let file_type = inode.as_ref().map(|inode| inode.access().file_type);
        let directory = match (&inode, file_type) {
            (Some(inode), Some(FileType::Directory)) => Some(Box::new(Directory {
                children: SpinLock::new(HashTable::new()),
                changes: Mutex::new(()),
                must_revalidate: inode.must_revalidate(),
            })),
            _ => None,
        };
        dentry_cache::count_new();
        Arc::new(Self {
            inode,
            file_type,
            state: AtomicU8::new(0),
            mounts: AtomicU32::new(0),
            edge: SpinLock::new(Edge { parent, name }),
            directory,
        })
    }

    /// The inode; ENOENT for a cached absence.
    pub fn inode(&self) -> Result<&Arc<dyn Inode>> {
        self.inode.as_ref().ok_or(Errno::ENOENT.into())
    }

    /// The type; `None` for a cached absence.
    pub fn file_type(&self) -> Option<FileType> {
        self.file_type
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether there is something.
    pub fn is_positive(&self) -> bool {
        self.inode.is_some()
    }

    /// Whether its name was removed.
    pub fn is_removed(&self) -> bool {
        self.state.load(Ordering::Acquire) & REMOVED != 0
    }

    /// Whether linkat(2) may give it a name: it has one, or it is an unnamed file for which that was not ruled out.
    pub fn is_linkable(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        state & REMOVED == 0 || state & LINKABLE != 0
    }

    /// The parent; `None` for a root.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.edge.lock().parent.clone()
    }

    /// The name.
    pub fn name(&self) -> Arc<[u8]> {
        self.edge.lock().name.clone()
    }

    /// Whether `ancestor` is this dentry or above it. Stable only under the file system's rename lock.
    pub fn is_within(self: &Arc<Self>, ancestor: &Arc<Self>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, ancestor) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Whether any mount sits on it.
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// A mount was attached.
    pub fn mount_added(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    /// A mount was detached.
    pub fn mount_removed(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Keeps others from changing this directory; ENOTDIR if it is none.
    pub fn lock_directory(&self) -> Result<MutexGuard<'_, ()>> {
        Ok(self.directory.as_ref().ok_or(Errno::ENOTDIR)?.changes.lock())
    }

    /// What the cache knows of `name`.
    pub fn cached_child(&self, name: &[u8]) -> Option<Arc<Self>> {
        let directory = self.directory.as_deref()?;
        let hash = dentry_cache::hash(name);
        let child = directory.children.lock().find(hash, |child| *child.name == *name)?.dentry.clone();
        child.note_use();
        if directory.must_revalidate && !self.is_still_valid(name, &child) {
            return None;
        }
        Some(child)
    }

    /// `name` in this directory, from the cache or from the file system; may be an absence.
    pub fn child(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Self>> {
        if let Some(child) = self.cached_child(name) {
            return Ok(child);
        }
        let _changes = self.lock_directory()?;
        self.child_locked(name)
    }

    /// As [`Self::child`], for a caller that holds the directory's lock. Makes room for one more child, which such a caller may put.
    pub fn child_locked(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Self>> {
        if let Some(directory) = self.directory.as_deref() {
            let rehash = |child: &Child| dentry_cache::hash(&child.name);
            directory.children.lock().try_reserve(1, rehash).map_err(|_| Errno::ENOMEM)?;
        }
        if let Some(child) = self.cached_child(name) {
            return Ok(child);
        }
        if self.is_removed() {
            return Err(Errno::ENOENT.into());
        }
        match self.inode()?.lookup(name) {
            Ok(inode) => Ok(self.put_child(name, Some(inode))),
            Err(error) if error.errno() == Errno::ENOENT => Ok(self.put_child(name, None)),
            Err(error) => Err(error),
        }
    }

    /// Puts a fresh dentry for `name` into the table, in place of what was there. The directory's lock is held.
    pub fn put_child(self: &Arc<Self>, name: &[u8], inode: Option<Arc<dyn Inode>>) -> Arc<Self> {
        let child = Self::new(inode, Some(self.clone()), Arc::from(name));
        let keep = child.is_positive() || self.directory.as_ref().is_some_and(|d| !d.must_revalidate);
        if keep {
            self.insert(child.clone());
            dentry_cache::track(&child);
        } else {
            self.take(name);
        }
        child
    }

    /// `child` was removed from this directory: its dentry lives on for its holders. The cache remembers the absence of a file, which programs make
    /// anew; directories go for good, and those with unique names would pile up. The lock is held.
    pub fn remove_child(self: &Arc<Self>, child: &Arc<Self>) {
        child.state.fetch_or(REMOVED, Ordering::AcqRel);
        let name = child.name();
        self.take(&name);
        child.forget_tree();
        if !child.is_directory() {
            self.put_child(&name, None);
        }
    }

    /// Moves `child` to `name` in `new_parent` (rename). Both directories' locks are held.
    pub fn move_child(self: &Arc<Self>, child: &Arc<Self>, new_parent: &Arc<Self>, name: &[u8]) {
        let old_name = child.name();
        self.take(&old_name);
        let old_parent = {
            let mut edge = child.edge.lock();
            edge.name = Arc::from(name);
            edge.parent.replace(new_parent.clone())
        };
        drop(old_parent);
        new_parent.insert(child.clone());
    }

    /// Swaps two children's places (RENAME_EXCHANGE). Both directories' locks are held.
    pub fn exchange_children(
        self: &Arc<Self>,
        child: &Arc<Self>,
        other_parent: &Arc<Self>,
        other: &Arc<Self>,
    ) {
        let (name, other_name) = (child.name(), other.name());
        self.take(&name);
        other_parent.take(&other_name);
        let mut old = Vec::new();
        for (dentry, parent, name) in [(child, other_parent, other_name), (other, self, name)] {
            let mut edge = dentry.edge.lock();
            edge.name = name;
            old.push(edge.parent.replace(parent.clone()));
        }
        other_parent.insert(child.clone());
        self.insert(other.clone());
    }

    /// Empties the tables of this tree: what nobody holds goes away.
    pub fn forget_tree(&self) {
        let mut pending = Vec::new();
        self.take_children(&mut pending);
        while let Some(dentry) = pending.pop() {
            dentry.take_children(&mut pending);
        }
    }

    /// For the shrinker: drops this dentry from its parent's table if only the table (and the caller's one reference) holds it.
    /// `false`: it was used recently or is in use.
    pub(super) fn evict(self: &Arc<Self>) -> bool {
        if self.state.fetch_and(!REFERENCED, Ordering::AcqRel) & REFERENCED != 0 || self.is_mount_point() {
            return false;
        }
        if self.has_children() {
            return false;
        }
        let Some(parent) = self.parent() else { return true };
        let Some(directory) = parent.directory.as_deref() else { return true };
        let name = self.name();
        let mut children = directory.children.lock();
        let hash = dentry_cache::hash(&name);
        // New references come only from the table, whose lock we hold, or from existing ones: two (the table's and ours) means unused.
        if Arc::strong_count(self) > 2 {
            return false;
        }
        let taken = match children.find_entry(hash, |child| Arc::ptr_eq(&child.dentry, self)) {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        drop(children);
        drop(taken);
        true
    }

    fn is_still_valid(&self, name: &[u8], child: &Arc<Self>) -> bool {
        let (Ok(inode), Ok(child_inode)) = (self.inode(), child.inode()) else { return false };
        if inode.revalidate(name, child_inode) {
            return true;
        }
        child.state.fetch_or(REMOVED, Ordering::AcqRel);
        self.take(name);
        child.forget_tree();
        false
    }

    fn note_use(&self) {
        if self.state.load(Ordering::Relaxed) & REFERENCED == 0 {
            self.state.fetch_or(REFERENCED, Ordering::Relaxed);
        }
    }

    fn insert(&self, child: Arc<Self>) {
        let Some(directory) = self.directory.as_deref() else { return };
        let name = child.name();
        let hash = dentry_cache::hash(&name);
        child.state.fetch_or(HASHED, Ordering::Relaxed);
        let mut children = directory.children.lock();
        let old = match children.find_entry(hash, |other| other.name == name) {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        children.insert_unique(hash, Child { name, dentry: child }, |child| dentry_cache::hash(&child.name));
        drop(children);
        drop(old);
    }

    fn take(&self, name: &[u8]) {
        let Some(directory) = self.directory.as_deref() else { return };
        let hash = dentry_cache::hash(name);
        let mut children = directory.children.lock();
        let taken = match children.find_entry(hash, |child| *child.name == *name) {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        drop(children);
        if let Some(child) = &taken {
            child.dentry.state.fetch_and(!HASHED, Ordering::Relaxed);
        }
    }

    /// Empties the table, and adds those of its children to `pending` that have some themselves: however many names there are, the list is as long
    /// as the directories are many.
    fn take_children(&self, pending: &mut Vec<Arc<Self>>) {
        let Some(directory) = self.directory.as_deref() else { return };
        let table = core::mem::take(&mut *directory.children.lock());
        pending.extend(table.into_iter().map(|child| child.dentry).filter(|child| child.has_children()));
    }

    fn has_children(&self) -> bool {
        self.directory.as_ref().is_some_and(|directory| !directory.children.lock().is_empty())
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        dentry_cache::count_gone();
        // A chain of parents that only their children hold must not be dropped by recursion: it may be as deep as a user likes.
        let mut next = self.edge.get_mut().parent.take();
        while let Some(parent) = next {
            next = match Arc::into_inner(parent) {
                Some(mut parent) => parent.edge.get_mut().parent.take(),
                None => None,
            };
        }
    }
}

impl fmt::Debug for Dentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dentry({})", alloc::string::String::from_utf8_lossy(&self.name()))
    }
}
