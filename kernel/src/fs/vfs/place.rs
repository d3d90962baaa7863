//! Where something is in the file tree, and where a process stands in it.

use ostd::sync::RwLock;

/// A place: a mount and a dentry in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Path {}

/// Root, working directory and umask of a process.
#[derive(Debug)]
pub struct FsPlace {
    /// Root directory.
    pub root: RwLock<Path>,
    /// Working directory.
    pub cwd: RwLock<Path>,
    /// umask(2).
    pub umask: core::sync::atomic::AtomicU32,
}
