//! What a thread has around it: its place in the file tree and its namespaces. Both are the thread's own (unshare(2), setns(2)); clone(2) says
//! what a new one shares.

use super::Thread;
use crate::error::{Errno, Result};
use crate::fs::vfs::place::FsPlace;
use crate::process::namespace::Namespaces;
use crate::process::table;
use alloc::sync::Arc;

/// See the module.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Root, working directory and umask (shared with others after CLONE_FS).
    pub place: Arc<FsPlace>,
    /// Its namespaces.
    pub namespaces: Arc<Namespaces>,
}

impl Thread {
    /// Place and namespaces; `None` once it has left.
    pub fn surroundings(&self) -> Option<Surroundings> {
        self.surroundings.lock().clone()
    }

    /// Replaces both; `None`: it leaves.
    pub fn replace_surroundings(&self, new: Option<Surroundings>) {
        let old = core::mem::replace(&mut *self.surroundings.lock(), new);
        // Outside of the lock: the last one out tears a namespace down.
        drop(old);
    }

    /// Root, working directory and umask. Once it has left, those of the first process: only procfs can still ask.
    pub fn place(&self) -> Arc<FsPlace> {
        self.living_place().unwrap_or_else(|| {
            table::find_process(1)
                .and_then(|init| init.living_place())
                .expect("the machine goes down with its first process, which has a place until then")
        })
    }

    /// Root, working directory and umask; `None` once it has left.
    pub fn living_place(&self) -> Option<Arc<FsPlace>> {
        self.surroundings.lock().as_ref().map(|around| around.place.clone())
    }

    /// Its namespaces.
    ///
    /// # Errors
    /// ESRCH once it has left.
    pub fn namespaces(&self) -> Result<Arc<Namespaces>> {
        let around = self.surroundings.lock();
        Ok(around.as_ref().ok_or(Errno::ESRCH)?.namespaces.clone())
    }
}
