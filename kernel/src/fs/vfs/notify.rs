//! Telling watchers what happens to files (inotify(7)).
//!
//! What happens is reported where the VFS does it, by [`report`] and [`report_child`]; without a watch anywhere, that costs a load. Watches are kept by
//! inode, so that they follow a file through renames and see it by all its names.

use super::dentry::Dentry;
use super::inode::Inode;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use ostd::sync::SpinLock;

bitflags! {
    /// What happened (IN_*).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Happening: u32 {
        /// Read.
        const ACCESS = 0x1;
        /// Written or truncated.
        const MODIFY = 0x2;
        /// Attributes or links changed.
        const ATTRIB = 0x4;
        /// Closed by a writer.
        const CLOSE_WRITE = 0x8;
        /// Closed by somebody else.
        const CLOSE_NOWRITE = 0x10;
        /// Opened.
        const OPEN = 0x20;
        /// A name left a directory for another.
        const MOVED_FROM = 0x40;
        /// A name came into a directory from another.
        const MOVED_TO = 0x80;
        /// A name was made in a directory.
        const CREATE = 0x100;
        /// A name was taken away from a directory.
        const DELETE = 0x200;
        /// The last name is gone.
        const DELETE_SELF = 0x400;
        /// Its name changed.
        const MOVE_SELF = 0x800;
    }
}

/// Something that happened, as one watcher sees it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What.
    pub what: Happening,
    /// Whether to a directory.
    pub is_directory: bool,
    /// The same number for both halves of a rename; else 0.
    pub cookie: u32,
    /// In a watched directory: to which name.
    pub name: Option<&'a [u8]>,
}

/// Who watches an inode. Called with directories locked: it must not sleep.
pub trait Watcher: Send + Sync + core::fmt::Debug {
    /// Something happened.
    fn on_event(&self, event: Event<'_>);
}

/// Watchers by the address of the inode, which they keep alive.
static WATCHERS: SpinLock<BTreeMap<usize, Vec<Arc<dyn Watcher>>>> = SpinLock::new(BTreeMap::new());
/// Watched inodes.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static NEXT_COOKIE: AtomicU32 = AtomicU32::new(1);

/// Adds a watcher, which holds on to `inode` until it is removed.
pub fn add(inode: &Arc<dyn Inode>, watcher: Arc<dyn Watcher>) {
    let mut watchers = WATCHERS.lock();
    watchers.entry(key(inode)).or_default().push(watcher);
    COUNT.store(watchers.len(), Ordering::Release);
}

/// Takes a watcher out.
pub fn remove(inode: &Arc<dyn Inode>, watcher: *const ()) {
    let mut watchers = WATCHERS.lock();
    let Some(list) = watchers.get_mut(&key(inode)) else { return };
    let at = list.iter().position(|known| Arc::as_ptr(known).cast::<()>() == watcher);
    let gone = at.map(|at| list.swap_remove(at));
    if list.is_empty() {
        watchers.remove(&key(inode));
    }
    COUNT.store(watchers.len(), Ordering::Release);
    drop(watchers);
    drop(gone);
}

/// A number for both halves of a rename.
pub fn new_cookie() -> u32 {
    NEXT_COOKIE.fetch_add(1, Ordering::Relaxed)
}

/// `what` happened to what is at `dentry`: tells those who watch it, and those who watch the directory that it is in.
pub fn report(dentry: &Arc<Dentry>, what: Happening) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let Ok(inode) = dentry.inode() else { return };
    let event = Event { what, is_directory: dentry.is_directory(), cookie: 0, name: None };
    if let Some(parent) = dentry.parent()
        && let Ok(directory) = parent.inode()
    {
        tell(directory, Event { name: Some(&dentry.name()), ..event });
    }
    tell(inode, event);
}

/// `what` happened to what is at `dentry`: tells those who watch it alone.
pub fn report_self(dentry: &Arc<Dentry>, what: Happening) {
    if COUNT.load(Ordering::Acquire) != 0
        && let Ok(inode) = dentry.inode()
    {
        tell(inode, Event { what, is_directory: dentry.is_directory(), cookie: 0, name: None });
    }
}

/// `what` happened to `inode` by itself: tells those who watch it alone. Works under spin locks.
pub fn report_inode(inode: &Arc<dyn Inode>, what: Happening) {
    if COUNT.load(Ordering::Acquire) != 0 {
        tell(inode, Event { what, is_directory: false, cookie: 0, name: None });
    }
}

/// A name of what is at `dentry` is gone; maybe the last one.
pub fn report_gone(dentry: &Arc<Dentry>) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let Ok(inode) = dentry.inode() else { return };
    report_self(dentry, Happening::ATTRIB);
    // COMPAT: Linux waits until the last open file is closed as well.
    if dentry.is_directory() || inode.metadata().links == 0 {
        report_self(dentry, Happening::DELETE_SELF);
    }
}

/// `what` happened to `name` in `directory`.
pub fn report_child(directory: &Arc<Dentry>, name: &[u8], is_directory: bool, what: Happening, cookie: u32) {
    if COUNT.load(Ordering::Acquire) != 0
        && let Ok(inode) = directory.inode()
    {
        tell(inode, Event { what, is_directory, cookie, name: Some(name) });
    }
}

fn tell(inode: &Arc<dyn Inode>, event: Event<'_>) {
    // Copied out: a watcher may remove itself.
    let watchers = WATCHERS.lock().get(&key(inode)).cloned().unwrap_or_default();
    for watcher in watchers {
        watcher.on_event(event);
    }
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>().addr()
}
