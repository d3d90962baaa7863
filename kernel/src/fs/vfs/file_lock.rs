//! Advisory locks: POSIX record locks, open-file-description locks (fcntl(2)) and flock(2).
//!
//! Locks are kept in one table by inode, beside the inodes: almost no file is ever locked, and closing must cost nothing for the others.

use super::inode::Inode;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::thread::wait;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::{SpinLock, WaitQueue};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process, by its descriptor table: POSIX record locks.
    Process(usize),
    /// An open file description: OFD locks.
    Description(usize),
    /// An open file description: flock(2), which does not see the other kinds.
    Flock(usize),
}

/// A lock over bytes `start..end`.
#[derive(Clone, Copy, Debug)]
pub struct FileLock {
    /// Who holds it.
    pub owner: Owner,
    /// Process id for F_GETLK.
    pub pid: u32,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Whether it excludes all others.
    pub is_exclusive: bool,
}

#[derive(Debug, Default)]
struct LockList {
    locks: SpinLock<Vec<FileLock>>,
    changed: WaitQueue,
}

static TABLE: SpinLock<BTreeMap<usize, Arc<LockList>>> = SpinLock::new(BTreeMap::new());
/// Files in the table: closing looks here first.
static FILES: AtomicUsize = AtomicUsize::new(0);
/// Processes waiting for record locks and for whom they wait, to refuse circles.
static WAITING: SpinLock<Vec<(Owner, Owner)>> = SpinLock::new(Vec::new());

impl FileLock {
    fn conflicts(&self, other: &Self) -> bool {
        self.owner != other.owner
            && matches!(self.owner, Owner::Flock(_)) == matches!(other.owner, Owner::Flock(_))
            && self.start < other.end
            && other.start < self.end
            && (self.is_exclusive || other.is_exclusive)
    }
}

/// The identity of an open file description.
pub fn description(file: &OpenFile) -> usize {
    core::ptr::from_ref(file).addr()
}

/// A lock that keeps `wanted` from being set, if there is one (F_GETLK).
pub fn blocker(inode: &Arc<dyn Inode>, wanted: &FileLock) -> Option<FileLock> {
    let list = TABLE.lock().get(&key(inode)).cloned()?;
    let locks = list.locks.lock();
    locks.iter().find(|lock| lock.conflicts(wanted)).copied()
}

/// Sets a lock, replacing what the owner has in its range; waits for others if `may_wait`.
///
/// # Errors
/// EAGAIN if it must not wait, EDEADLK for a circle of waiting processes, ERESTARTSYS on a signal, ENOLCK without memory.
pub fn set(inode: &Arc<dyn Inode>, wanted: FileLock, may_wait: bool) -> Result<()> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOLCK.into());
    }
    let list = list_of(inode);
    let try_set = || match put(&list, &wanted) {
        Ok(None) => Some(Ok(())),
        Err(error) => Some(Err(error)),
        Ok(Some(_)) if !may_wait => Some(Err(Errno::EAGAIN.into())),
        Ok(Some(blocker)) if would_circle(wanted.owner, blocker.owner) => Some(Err(Errno::EDEADLOCK.into())),
        Ok(Some(blocker)) => {
            let mut waiting = WAITING.lock();
            waiting.retain(|(waiter, _)| *waiter != wanted.owner);
            if waiting.try_reserve(1).is_err() {
                return Some(Err(Errno::ENOLCK.into()));
            }
            waiting.push((wanted.owner, blocker.owner));
            None
        }
    };
    let result = wait::wait_until(&list.changed, None, try_set);
    WAITING.lock().retain(|(waiter, _)| *waiter != wanted.owner);
    if !matches!(result, Ok(Ok(()))) {
        drop_if_empty(inode);
    }
    result?
}

/// Takes the owner's locks in `start..end` away; parts outside stay.
pub fn unset(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) {
    let Some(list) = TABLE.lock().get(&key(inode)).cloned() else { return };
    cut(&mut list.locks.lock(), owner, start, end);
    list.changed.wake_all();
    drop(list);
    drop_if_empty(inode);
}

/// A descriptor of `file` was closed by the process that `process` stands for.
pub fn on_descriptor_closed(file: &OpenFile, process: usize) {
    if FILES.load(Ordering::Acquire) != 0
        && let Ok(inode) = file.inode()
    {
        unset(inode, Owner::Process(process), 0, u64::MAX);
    }
}

/// The last descriptor of `file` was closed.
pub fn on_description_closed(file: &OpenFile) {
    if FILES.load(Ordering::Acquire) != 0
        && let Ok(inode) = file.inode()
    {
        unset(inode, Owner::Description(description(file)), 0, u64::MAX);
        unset(inode, Owner::Flock(description(file)), 0, u64::MAX);
    }
}

/// Sets `wanted` if nothing is in its way; else gives what is.
///
/// # Errors
/// ENOLCK without memory.
fn put(list: &LockList, wanted: &FileLock) -> Result<Option<FileLock>> {
    /// The lock, and what it leaves of one that it cuts in two.
    const MOST_NEW: usize = 3;
    let mut locks = list.locks.lock();
    if let Some(blocker) = locks.iter().find(|lock| lock.conflicts(wanted)) {
        return Ok(Some(*blocker));
    }
    locks.try_reserve(MOST_NEW).map_err(|_| Errno::ENOLCK)?;
    cut(&mut locks, wanted.owner, wanted.start, wanted.end);
    // Neighbours of the same kind become one, so that a program that locks record by record does not grow the list.
    let mut merged = *wanted;
    locks.retain(|lock| {
        let touches = lock.owner == merged.owner
            && lock.is_exclusive == merged.is_exclusive
            && lock.start <= merged.end
            && merged.start <= lock.end;
        if touches {
            merged.start = merged.start.min(lock.start);
            merged.end = merged.end.max(lock.end);
        }
        !touches
    });
    locks.push(merged);
    drop(locks);
    // A downgrade may let others in.
    list.changed.wake_all();
    Ok(None)
}

fn cut(locks: &mut Vec<FileLock>, owner: Owner, start: u64, end: u64) {
    let mut rests = Vec::new();
    locks.retain(|lock| {
        if lock.owner != owner || lock.end <= start || end <= lock.start {
            return true;
        }
        if lock.start < start {
            rests.push(FileLock { end: start, ..*lock });
        }
        if end < lock.end {
            rests.push(FileLock { start: end, ..*lock });
        }
        false
    });
    locks.append(&mut rests);
}

/// Whether waiting for `blocker` would close a circle. Only record locks of processes are checked, as on Linux.
fn would_circle(waiter: Owner, blocker: Owner) -> bool {
    if !matches!(waiter, Owner::Process(_)) {
        return false;
    }
    let waiting = WAITING.lock();
    let mut at = blocker;
    for _ in 0..=waiting.len() {
        if at == waiter {
            return true;
        }
        match waiting.iter().find(|(who, _)| *who == at) {
            Some((_, next)) => at = *next,
            None => return false,
        }
    }
    false
}

fn list_of(inode: &Arc<dyn Inode>) -> Arc<LockList> {
    let mut table = TABLE.lock();
    let list = table.entry(key(inode)).or_default().clone();
    FILES.store(table.len(), Ordering::Release);
    list
}

fn drop_if_empty(inode: &Arc<dyn Inode>) {
    let mut table = TABLE.lock();
    let is_unused = table
        .get(&key(inode))
        .is_some_and(|list| Arc::strong_count(list) == 1 && list.locks.lock().is_empty());
    if is_unused {
        table.remove(&key(inode));
    }
    FILES.store(table.len(), Ordering::Release);
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>().addr()
}
