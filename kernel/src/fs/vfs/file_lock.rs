//! Advisory locks: POSIX record locks, open-file-description locks (fcntl(2)) and flock(2).
//!
//! Locks are kept in one table by inode, beside the inodes: almost no file is ever locked, and closing must cost nothing for the others.
//! Each process pays for the locks that it sets, whoever holds them then, and has [`LOCKS_MAX`] of them at most.

use super::inode::Inode;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::thread::wait;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::{Mutex, SpinLock, WaitQueue};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A process, by its descriptor table: POSIX record locks.
    Process(usize),
    /// An open file description: OFD locks.
    Description(usize),
    /// An open file description: flock(2), which does not see the other kinds.
    Flock(usize),
}

/// The most locks of one process.
// COMPAT: Linux has had no limit (RLIMIT_LOCKS) since 2.4.25, but charges its memory.
const LOCKS_MAX: usize = 1 << 14;
/// How many who wait for each other are looked at for a circle.
const CIRCLE_MAX: usize = 128;

/// A lock over bytes `start..end`.
#[derive(Clone, Copy, Debug)]
pub struct FileLock {
    /// Who holds it.
    pub owner: Owner,
    /// Process id for F_GETLK.
    pub pid: u32,
    /// Who pays for it: the process that sets it, by its descriptor table.
    pub payer: usize,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Whether it excludes all others.
    pub is_exclusive: bool,
}

#[derive(Debug, Default)]
struct LockList {
    locks: Mutex<Locks>,
    changed: WaitQueue,
}

/// By owner and first byte. Locks of one owner do not overlap, and neighbours are of different kinds.
type Locks = BTreeMap<(Owner, u64), Held>;

/// A lock that was set.
#[derive(Debug)]
struct Held {
    lock: FileLock,
    _charge: Charge,
}

/// A lock that somebody pays for.
#[derive(Debug)]
struct Charge {
    payer: usize,
}

static TABLE: SpinLock<BTreeMap<usize, Arc<LockList>>> = SpinLock::new(BTreeMap::new());
/// Files in the table: closing looks here first.
static FILES: AtomicUsize = AtomicUsize::new(0);
/// Who waits for a record lock, and for whom, to refuse circles.
static WAITING: SpinLock<BTreeMap<Owner, Owner>> = SpinLock::new(BTreeMap::new());
/// How many locks everybody pays for.
static CHARGES: SpinLock<BTreeMap<usize, usize>> = SpinLock::new(BTreeMap::new());

impl FileLock {
    fn conflicts(&self, other: &Self) -> bool {
        self.owner != other.owner
            && matches!(self.owner, Owner::Flock(_)) == matches!(other.owner, Owner::Flock(_))
            && self.start < other.end
            && other.start < self.end
            && (self.is_exclusive || other.is_exclusive)
    }

    fn key(&self) -> (Owner, u64) {
        (self.owner, self.start)
    }

    /// What is left of it without `start..end`.
    fn without(self, start: u64, end: u64) -> impl Iterator<Item = Self> {
        let before = Self { end: self.end.min(start), ..self };
        let after = Self { start: self.start.max(end), ..self };
        [before, after].into_iter().filter(|rest| rest.start < rest.end)
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
    conflict(&locks, wanted)
}

/// Sets a lock, replacing what the owner has in its range; waits for others if `may_wait`.
///
/// # Errors
/// EAGAIN if it must not wait, EDEADLK for a circle of waiting processes, ERESTARTSYS on a signal, ENOLCK for too many
/// and without memory.
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
            if matches!(wanted.owner, Owner::Process(_)) {
                WAITING.lock().insert(wanted.owner, blocker.owner);
            }
            None
        }
    };
    let result = wait::wait_until(&list.changed, None, try_set);
    if matches!(wanted.owner, Owner::Process(_)) {
        WAITING.lock().remove(&wanted.owner);
    }
    if !matches!(result, Ok(Ok(()))) {
        drop_if_empty(inode);
    }
    result?
}

/// Takes the owner's locks in `start..end` away; parts outside stay.
///
/// # Errors
/// ENOLCK if that makes one into two and there are too many.
pub fn unset(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) -> Result<()> {
    let Some(list) = TABLE.lock().get(&key(inode)).cloned() else { return Ok(()) };
    {
        let mut locks = list.locks.lock();
        let cut = touching(&locks, owner, start, end);
        if let [one] = *cut
            && one.without(start, end).count() > 1
        {
            Charge::check(one.payer)?;
        }
        cut.iter().for_each(|lock| drop(locks.remove(&lock.key())));
        cut.iter().flat_map(|lock| lock.without(start, end)).for_each(|rest| insert(&mut locks, rest));
    }
    list.changed.wake_all();
    drop(list);
    drop_if_empty(inode);
    Ok(())
}

/// Takes all the owner's locks away.
fn unset_all(inode: &Arc<dyn Inode>, owner: Owner) {
    // Nothing is made into two.
    let _ = unset(inode, owner, 0, u64::MAX);
}

/// A descriptor of `file` was closed by the process that `process` stands for.
pub fn on_descriptor_closed(file: &OpenFile, process: usize) {
    if FILES.load(Ordering::Acquire) != 0
        && let Ok(inode) = file.inode()
    {
        unset_all(inode, Owner::Process(process));
    }
}

/// The last descriptor of `file` was closed.
pub fn on_description_closed(file: &OpenFile) {
    if FILES.load(Ordering::Acquire) != 0
        && let Ok(inode) = file.inode()
    {
        unset_all(inode, Owner::Description(description(file)));
        unset_all(inode, Owner::Flock(description(file)));
    }
}

/// Sets `wanted` if nothing is in its way; else gives what is.
///
/// # Errors
/// ENOLCK for too many.
fn put(list: &LockList, wanted: &FileLock) -> Result<Option<FileLock>> {
    let mut locks = list.locks.lock();
    if let Some(blocker) = conflict(&locks, wanted) {
        return Ok(Some(blocker));
    }
    let old = touching(&locks, wanted.owner, wanted.start, wanted.end);
    let joins = |lock: &FileLock| lock.is_exclusive == wanted.is_exclusive;
    let is_replaced =
        |lock: &FileLock| joins(lock) || lock.without(wanted.start, wanted.end).next().is_none();
    if !old.iter().any(is_replaced) {
        Charge::check(wanted.payer)?;
    }
    // Neighbours of the same kind become one, so that a program that locks record by record does not have ever more.
    let mut merged = *wanted;
    for lock in &old {
        locks.remove(&lock.key());
        if joins(lock) {
            merged.start = merged.start.min(lock.start);
            merged.end = merged.end.max(lock.end);
        }
    }
    let rests = old.iter().filter(|lock| !joins(lock));
    rests.flat_map(|lock| lock.without(wanted.start, wanted.end)).for_each(|rest| insert(&mut locks, rest));
    insert(&mut locks, merged);
    drop(locks);
    // A downgrade may let others in.
    list.changed.wake_all();
    Ok(None)
}

fn insert(locks: &mut Locks, lock: FileLock) {
    locks.insert(lock.key(), Held { lock, _charge: Charge::new(lock.payer) });
}

/// The owner's locks that overlap `start..end` or are its neighbours, last first.
fn touching(locks: &Locks, owner: Owner, start: u64, end: u64) -> Vec<FileLock> {
    let before_end = locks.range((owner, 0)..=(owner, end)).rev().map(|(_, held)| held.lock);
    before_end.take_while(|lock| lock.end >= start).collect()
}

/// A lock of somebody else that is in the way of `wanted`.
fn conflict(locks: &Locks, wanted: &FileLock) -> Option<FileLock> {
    let mut first = locks.keys().next().copied();
    while let Some((owner, _)) = first {
        let before_end = locks.range((owner, 0)..(owner, wanted.end)).rev().map(|(_, held)| held.lock);
        let overlapping = before_end.take_while(|lock| lock.end > wanted.start);
        if let Some(blocker) = overlapping.into_iter().find(|lock| lock.conflicts(wanted)) {
            return Some(blocker);
        }
        first = locks.range((owner, u64::MAX)..).next().map(|(key, _)| *key);
    }
    None
}

impl Charge {
    fn new(payer: usize) -> Self {
        *CHARGES.lock().entry(payer).or_default() += 1;
        Self { payer }
    }

    /// ENOLCK if `payer` has as many as it may have.
    fn check(payer: usize) -> Result<()> {
        let count = CHARGES.lock().get(&payer).copied().unwrap_or(0);
        if count >= LOCKS_MAX { Err(Errno::ENOLCK.into()) } else { Ok(()) }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut charges = CHARGES.lock();
        let Some(count) = charges.get_mut(&self.payer) else { return };
        *count -= 1;
        if *count == 0 {
            charges.remove(&self.payer);
        }
    }
}

/// Whether waiting for `blocker` would close a circle. Only record locks of processes are checked, as on Linux, which looks at ten of them.
fn would_circle(waiter: Owner, blocker: Owner) -> bool {
    if !matches!(waiter, Owner::Process(_)) {
        return false;
    }
    let waiting = WAITING.lock();
    let waits_for = |owner: &Owner| waiting.get(owner).copied();
    core::iter::successors(Some(blocker), waits_for).take(CIRCLE_MAX).any(|owner| owner == waiter)
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
