//! Sets that watch sets: no circles, and not too deep, because readiness is asked for and announced along the chain.

use super::{Epoll, file};
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::{Mutex, MutexGuard};

/// How many sets may hang below one another.
const DEPTH_MAX: usize = 5;

/// Additions of sets to sets, one at a time: two at once could close a circle that neither sees.
static ADDING: Mutex<()> = Mutex::new(());

/// Whether `set` may watch `file`; the guard is kept until it does. Files other than sets need none.
///
/// # Errors
/// ELOOP.
pub fn check(set: &Arc<Epoll>, file: &OpenFile) -> Result<Option<MutexGuard<'static, ()>>> {
    let Some(target) = file::of(file) else { return Ok(None) };
    let adding = ADDING.lock();
    if leads_to(target, set, 1) { Err(Errno::ELOOP.into()) } else { Ok(Some(adding)) }
}

/// Whether `set` is reached from `from`, or the chain is too long to go on.
fn leads_to(from: &Arc<Epoll>, set: &Arc<Epoll>, depth: usize) -> bool {
    if Arc::ptr_eq(from, set) || depth >= DEPTH_MAX {
        return true;
    }
    let watched: Vec<Arc<OpenFile>> =
        from.interests.lock().by_key.values().filter_map(|interest| interest.file()).collect();
    watched.iter().filter_map(|file| file::of(file)).any(|next| leads_to(next, set, depth + 1))
}
