//! The lock that keeps the shapes of all mount trees while one of them changes. Walks do not take it.
//!
//! The last reference to a namespace may go anywhere, also with the lock held. So its end is left to whoever has the lock, or takes it
//! next: [`bury`].

use super::mount::Mount;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::{Mutex, MutexGuard, SpinLock};

static LOCK: Mutex<()> = Mutex::new(());
static DEAD: SpinLock<Dead> = SpinLock::new(Dead { roots: Vec::new(), is_being_buried: false });

/// Trees whose namespaces are gone.
#[derive(Debug)]
struct Dead {
    roots: Vec<Arc<Mount>>,
    /// Somebody is at it, and will look again: a tree can hold the last reference to the next namespace.
    is_being_buried: bool,
}

/// The lock, held.
#[derive(Debug)]
pub struct TreeGuard {
    held: Option<MutexGuard<'static, ()>>,
}

/// Takes the lock.
pub fn lock() -> TreeGuard {
    TreeGuard { held: Some(LOCK.lock()) }
}

/// Takes the tree below `root` apart, now or as soon as the lock is let go.
pub(super) fn bury(root: Arc<Mount>) {
    DEAD.lock().roots.push(root);
    bury_all();
}

impl Drop for TreeGuard {
    fn drop(&mut self) {
        drop(self.held.take());
        bury_all();
    }
}

fn bury_all() {
    loop {
        let (held, roots) = {
            let mut dead = DEAD.lock();
            if dead.roots.is_empty() || dead.is_being_buried {
                return;
            }
            // Who has the lock comes here after letting it go.
            let Some(held) = LOCK.try_lock() else { return };
            dead.is_being_buried = true;
            (held, core::mem::take(&mut dead.roots))
        };
        for root in &roots {
            root.detach_tree();
        }
        drop(held);
        // File systems go with their last mount, which takes a while.
        drop(roots);
        DEAD.lock().is_being_buried = false;
    }
}
