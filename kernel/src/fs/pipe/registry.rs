//! Which pipe belongs to which inode.

use super::Pipe;
use crate::fs::vfs::inode::Inode;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use ostd::sync::SpinLock;

static PIPES: SpinLock<BTreeMap<usize, Weak<Pipe>>> = SpinLock::new(BTreeMap::new());

/// The pipe of `inode`; a new one unless somebody has it open.
pub fn find_or_make(inode: &Arc<dyn Inode>) -> Arc<Pipe> {
    if let Some(pipe) = PIPES.lock().get(&key(inode)).and_then(Weak::upgrade) {
        return pipe;
    }
    let new = Arc::new(Pipe::new(inode.clone()));
    let mut pipes = PIPES.lock();
    let found = match pipes.get(&key(inode)).and_then(Weak::upgrade) {
        // Somebody was faster.
        Some(found) => found,
        None => {
            pipes.insert(key(inode), Arc::downgrade(&new));
            new.clone()
        }
    };
    // Dropping the loser takes this lock.
    drop(pipes);
    found
}

/// Takes a pipe out that is being dropped. A new one may have taken its place.
pub fn forget(pipe: &Pipe) {
    let mut pipes = PIPES.lock();
    let key = key(&pipe.inode);
    if pipes.get(&key).is_some_and(|entry| core::ptr::eq(entry.as_ptr(), pipe)) {
        pipes.remove(&key);
    }
}

/// The inode's address: the pipe keeps it alive, so no other can have it.
fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>().addr()
}
