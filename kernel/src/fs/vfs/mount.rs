//! Mounts: a tree of a file system, shown at a place in the tree of another mount.

use super::dentry::Dentry;
use super::file_system::SuperBlock;
use super::mount_ns::MountNs;
use super::mount_points;
use super::place::Path;
use super::propagation::{self, Sharing};
use crate::error::{Errno, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use hashbrown::HashTable;
use ostd::sync::SpinLock;

bitflags! {
    /// What a mount does not allow, as the `MS_*` bits of mount(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Read-only.
        const READ_ONLY = 1;
        /// Set-user-ID bits have no effect.
        const NO_SUID = 2;
        /// Device nodes cannot be opened.
        const NO_DEV = 4;
        /// Nothing can be executed.
        const NO_EXEC = 8;
        /// Trailing symbolic links are not followed.
        const NO_SYMFOLLOW = 256;
        /// Access times stay.
        const NO_ATIME = 1024;
        /// Access times of directories stay.
        const NO_DIRATIME = 2048;
        /// Access times move only when older than the modification.
        const RELATIME = 1 << 21;

        /// What a less privileged owner of a copy cannot take off.
        const RESTRICTIONS = 1 | 2 | 4 | 8;
        /// How access times move.
        const ACCESS_TIMES = 1024 | 2048 | 1 << 21;
    }
}

/// In [`Mount::locked_flags`]: how access times move stays as it is. No flag of a mount.
const ACCESS_TIMES_LOCKED: u32 = 1 << 31;

/// An attachment of a tree.
#[derive(Debug)]
pub struct Mount {
    id: u64,
    super_block: Arc<SuperBlock>,
    root: Arc<Dentry>,
    source: Vec<u8>,
    flags: AtomicU32,
    /// Neither the flags that are set nor its place can be changed by its namespace's owner, who got it so from a more privileged one.
    is_locked: AtomicBool,
    /// The flags that cannot be cleared.
    locked_flags: AtomicU32,
    sharing: SpinLock<Sharing>,
    /// Files open for writing: they keep it from turning read-only.
    writers: AtomicUsize,
    /// What it sits on; `None`: a root, or detached.
    place: SpinLock<Option<Path>>,
    children: SpinLock<HashTable<Arc<Mount>>>,
    home: SpinLock<Home>,
}

/// What a mount belongs to.
#[derive(Clone, Debug, Default)]
pub(super) enum Home {
    /// Nothing: it is new, or was unmounted while somebody still used it.
    #[default]
    Nowhere,
    /// A tree that only a descriptor holds ([`super::detached`]).
    Detached,
    /// A namespace's tree.
    Namespace(Weak<MountNs>),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// How many mounts there are, detached ones that are still in use included.
pub fn alive() -> usize {
    ALIVE.load(Ordering::Relaxed)
}

impl Mount {
    /// A mount of `root`'s tree that sits nowhere yet.
    pub fn new(
        super_block: Arc<SuperBlock>,
        root: Arc<Dentry>,
        source: &[u8],
        flags: MountFlags,
    ) -> Arc<Self> {
        super_block.mount_added();
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            super_block,
            root,
            source: source.to_vec(),
            flags: AtomicU32::new(flags.bits()),
            is_locked: AtomicBool::new(false),
            locked_flags: AtomicU32::new(0),
            sharing: SpinLock::new(Sharing::default()),
            writers: AtomicUsize::new(0),
            place: SpinLock::new(None),
            children: SpinLock::new(HashTable::new()),
            home: SpinLock::new(Home::Nowhere),
        })
    }

    /// Another mount of the same tree below `root`, with the same flags, locks and connections.
    pub fn duplicate(&self, root: Arc<Dentry>) -> Arc<Self> {
        let new = Self::new(self.super_block.clone(), root, &self.source, self.flags());
        new.is_locked.store(self.is_locked(), Ordering::Relaxed);
        new.locked_flags.store(self.locked_flags.load(Ordering::Relaxed), Ordering::Relaxed);
        propagation::connect(&new, self.sharing());
        new
    }

    /// A number of its own, as in /proc/PID/mountinfo.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The instance.
    pub fn super_block(&self) -> &Arc<SuperBlock> {
        &self.super_block
    }

    /// The directory (or file) that it shows.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The source for /proc/mounts.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Its flags.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Whether it or its file system is read-only.
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(MountFlags::READ_ONLY) || self.super_block.is_read_only()
    }

    /// EROFS if nothing may be changed through it.
    pub fn check_writable(&self) -> Result<()> {
        if self.is_read_only() { Err(Errno::EROFS.into()) } else { Ok(()) }
    }

    /// EBUSY if files are open for writing and it would become read-only.
    pub fn check_flags(&self, flags: MountFlags) -> Result<()> {
        let becomes_read_only =
            flags.contains(MountFlags::READ_ONLY) && !self.flags().contains(MountFlags::READ_ONLY);
        if becomes_read_only && self.writers.load(Ordering::Acquire) > 0 {
            return Err(Errno::EBUSY.into());
        }
        Ok(())
    }

    /// Locks its flags and its place (mount_namespaces(7)).
    pub(super) fn lock(&self) {
        let locked = (self.flags() & MountFlags::RESTRICTIONS).bits() | ACCESS_TIMES_LOCKED;
        self.locked_flags.fetch_or(locked, Ordering::Relaxed);
        self.is_locked.store(true, Ordering::Relaxed);
    }

    /// Whether its place is locked.
    pub(super) fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }

    /// Locks or frees its place.
    pub(super) fn set_locked(&self, is_locked: bool) {
        self.is_locked.store(is_locked, Ordering::Relaxed);
    }

    /// EPERM if flags that are locked would change.
    pub fn check_locked_flags(&self, flags: MountFlags) -> Result<()> {
        let locked = self.locked_flags.load(Ordering::Relaxed);
        let changes = self.flags() ^ flags;
        let is_cleared = MountFlags::from_bits_truncate(locked) - flags;
        let has_other_times =
            locked & ACCESS_TIMES_LOCKED != 0 && changes.intersects(MountFlags::ACCESS_TIMES);
        if !is_cleared.is_empty() || has_other_times { Err(Errno::EPERM.into()) } else { Ok(()) }
    }

    /// Changes its flags, which were checked.
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// How it is connected with other mounts.
    pub fn sharing(&self) -> Sharing {
        *self.sharing.lock()
    }

    pub(super) fn replace_sharing(&self, sharing: Sharing) -> Sharing {
        core::mem::replace(&mut *self.sharing.lock(), sharing)
    }

    /// A file was opened for writing.
    pub fn writer_added(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// It was closed.
    pub fn writer_removed(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }

    /// What it sits on.
    pub fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }

    /// The namespace that it belongs to, if it does.
    pub fn namespace(&self) -> Option<Arc<MountNs>> {
        match &*self.home.lock() {
            Home::Namespace(namespace) => namespace.upgrade(),
            Home::Nowhere | Home::Detached => None,
        }
    }

    /// Whether it belongs to `namespace`.
    pub fn is_in(&self, namespace: &MountNs) -> bool {
        matches!(&*self.home.lock(), Home::Namespace(own) if core::ptr::eq(own.as_ptr(), namespace))
    }

    /// Whether it is part of a tree that only a descriptor holds.
    pub fn is_detached(&self) -> bool {
        matches!(&*self.home.lock(), Home::Detached)
    }

    /// Takes it (and what is below it) home. [`super::tree_lock`] is held.
    pub(super) fn set_home(self: &Arc<Self>, home: &Home) {
        for mount in self.tree() {
            mount.settle(home.clone());
        }
    }

    fn settle(&self, home: Home) {
        let count = |home: &Home, more: isize| {
            if let Home::Namespace(namespace) = home
                && let Some(namespace) = namespace.upgrade()
            {
                namespace.count(more);
            }
        };
        count(&home, 1);
        let old = core::mem::replace(&mut *self.home.lock(), home);
        count(&old, -1);
    }

    /// The mount that sits on `dentry` of this mount.
    pub fn child_at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Self>> {
        let key = Arc::as_ptr(dentry);
        let children = self.children.lock();
        children.find(hash(key), |child| child.sits_on(key)).cloned()
    }

    /// The mounts that sit directly on this one, oldest first.
    pub fn children(&self) -> Vec<Arc<Self>> {
        let mut children: Vec<_> = self.children.lock().iter().cloned().collect();
        children.sort_unstable_by_key(|child| child.id);
        children
    }

    /// This mount and all below, parents first.
    pub fn tree(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut all = alloc::vec![self.clone()];
        let mut at = 0;
        while at < all.len() {
            let children = all[at].children();
            all.extend(children);
            at += 1;
        }
        all
    }

    /// Whether anything is mounted on it.
    pub fn has_children(&self) -> bool {
        !self.children.lock().is_empty()
    }

    /// Attaches it at `place`. [`super::tree_lock`] is held; nothing else is mounted exactly there.
    pub(super) fn attach(self: &Arc<Self>, place: Path) {
        let key = Arc::as_ptr(&place.dentry);
        let parent = place.mount.clone();
        mount_points::add(&place.dentry, self);
        *self.place.lock() = Some(place);
        parent.children.lock().insert_unique(hash(key), self.clone(), |child| {
            child.place().map_or(0, |p| hash(Arc::as_ptr(&p.dentry)))
        });
    }

    /// Takes it off its place. [`super::tree_lock`] is held.
    pub(super) fn detach(self: &Arc<Self>) -> Option<Path> {
        let place = self.place.lock().clone()?;
        let key = Arc::as_ptr(&place.dentry);
        let taken = match place.mount.children.lock().find_entry(hash(key), |child| Arc::ptr_eq(child, self))
        {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        drop(taken);
        mount_points::remove(&place.dentry, self);
        *self.place.lock() = None;
        Some(place)
    }

    /// Takes the whole tree below and this mount itself apart; each goes when its last user does. [`super::tree_lock`] is held.
    pub(super) fn detach_tree(self: &Arc<Self>) {
        for mount in self.tree().into_iter().rev() {
            mount.detach();
            propagation::connect(&mount, Sharing::default());
            mount.settle(Home::Nowhere);
        }
    }

    fn sits_on(&self, key: *const Dentry) -> bool {
        self.place.lock().as_ref().is_some_and(|place| Arc::as_ptr(&place.dentry) == key)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        propagation::forget(*self.sharing.get_mut());
        ALIVE.fetch_sub(1, Ordering::Relaxed);
        self.super_block.mount_removed();
    }
}

fn hash(key: *const Dentry) -> u64 {
    (key.addr() as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
