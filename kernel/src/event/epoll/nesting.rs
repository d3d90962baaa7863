//! Sets that watch sets: no circles, and not too deep, because readiness is asked for and announced along the chain.

use super::{Epoll, file};
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::{Mutex, MutexGuard};

/// How many sets may hang below one another.
const DEPTH_MAX: usize = 5;

/// How many ways down from a set are followed before it is refused. Sets that each watch all of the next layer make as many ways as the
/// product of the layers, and others wait meanwhile.
const WAYS_MAX: usize = 10_000;

/// Additions of sets to sets, one at a time: two at once could close a circle that neither sees.
static ADDING: Mutex<()> = Mutex::new(());

/// Whether `set` may watch `file`; the guard is kept until it does. Files other than sets need none.
///
/// # Errors
/// ELOOP, ENOMEM.
pub fn check(set: &Arc<Epoll>, file: &OpenFile) -> Result<Option<MutexGuard<'static, ()>>> {
    let Some(target) = file::of(file) else { return Ok(None) };
    let adding = ADDING.lock();
    let mut ways = WAYS_MAX;
    if leads_to(target, set, 1, &mut ways)? { Err(Errno::ELOOP.into()) } else { Ok(Some(adding)) }
}

/// Whether `set` is reached from `from`, or the chain is too long to go on, or there are too many.
fn leads_to(from: &Arc<Epoll>, set: &Arc<Epoll>, depth: usize, ways: &mut usize) -> Result<bool> {
    if Arc::ptr_eq(from, set) || depth >= DEPTH_MAX || *ways == 0 {
        return Ok(true);
    }
    *ways -= 1;
    let mut watched = Vec::new();
    for interest in from.interests.lock().by_key.values() {
        let Some(next) = interest.file().and_then(|file| file::of(&file).cloned()) else { continue };
        watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        watched.push(next);
    }
    for next in watched {
        if leads_to(&next, set, depth + 1, ways)? {
            return Ok(true);
        }
    }
    Ok(false)
}
