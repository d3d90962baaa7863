//! A file is open for writing or being executed, not both: ETXTBSY (open(2), execve(2)).
//!
//! Kept in one table by inode, beside the inodes, as [`super::file_lock`] does.

use super::inode::Inode;
use crate::error::{Errno, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use ostd::sync::SpinLock;

/// By inode: how many write (above zero) or execute (below). Whoever does holds the inode, so that its address is its own.
static USES: SpinLock<BTreeMap<usize, i64>> = SpinLock::new(BTreeMap::new());

/// Somebody has the file open for writing.
pub type Writing = Use<1>;

/// A program executes the file.
pub type Execution = Use<-1>;

/// One use of a kind; `STEP` is what it counts for.
#[derive(Debug)]
pub struct Use<const STEP: i64>(Arc<dyn Inode>);

impl<const STEP: i64> Use<STEP> {
    /// From now on nobody can use the file in the other way.
    ///
    /// # Errors
    /// ETXTBSY if somebody does. ENOMEM.
    pub fn begin(inode: &Arc<dyn Inode>) -> Result<Self> {
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let mut uses = USES.lock();
        let count = uses.entry(key(inode)).or_insert(0);
        if *count * STEP < 0 {
            return Err(Errno::ETXTBSY.into());
        }
        *count += STEP;
        Ok(Self(inode.clone()))
    }
}

impl<const STEP: i64> Drop for Use<STEP> {
    fn drop(&mut self) {
        let key = key(&self.0);
        let mut uses = USES.lock();
        if let Some(count) = uses.get_mut(&key) {
            *count -= STEP;
            if *count == 0 {
                uses.remove(&key);
            }
        }
    }
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>().addr()
}
