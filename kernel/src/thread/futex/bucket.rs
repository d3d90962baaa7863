//! Buckets of waiters.

use super::key::Key;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ostd::sync::{SpinLock, SpinLockGuard, Waker};

/// Someone who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub bits: u32,
    pub waker: Arc<Waker>,
    is_woken: AtomicBool,
    /// Where it is queued; a requeue moves it.
    bucket: AtomicUsize,
}

impl Waiting {
    pub fn new(bits: u32, waker: Arc<Waker>, bucket: usize) -> Arc<Self> {
        Arc::new(Self { bits, waker, is_woken: AtomicBool::new(false), bucket: AtomicUsize::new(bucket) })
    }

    /// Whether a wake chose it.
    pub fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    /// Ends its wait. It must be out of its bucket.
    pub fn wake(&self) {
        self.is_woken.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Waiters whose futexes hash alike.
#[derive(Debug)]
pub(super) struct Bucket {
    waiters: SpinLock<VecDeque<(Key, Arc<Waiting>)>>,
    /// Beside the lock, so that a wake of nobody costs a load.
    len: AtomicUsize,
}

const COUNT: usize = 256;

static BUCKETS: [Bucket; COUNT] =
    [const { Bucket { waiters: SpinLock::new(VecDeque::new()), len: AtomicUsize::new(0) } }; COUNT];

/// A locked bucket.
pub(super) struct Locked {
    index: usize,
    waiters: SpinLockGuard<'static, VecDeque<(Key, Arc<Waiting>)>>,
}

/// The bucket of `key`, locked.
pub(super) fn lock(key: &Key) -> Locked {
    lock_index(key.hash(COUNT))
}

/// The buckets of two keys, locked, the second only if it is another one.
pub(super) fn lock_two(first: &Key, second: &Key) -> (Locked, Option<Locked>) {
    let (a, b) = (first.hash(COUNT), second.hash(COUNT));
    // By index, so that two calls cannot wait for each other.
    if a == b {
        return (lock_index(a), None);
    }
    if a < b {
        let locked = lock_index(a);
        (locked, Some(lock_index(b)))
    } else {
        let locked = lock_index(b);
        (lock_index(a), Some(locked))
    }
}

/// Whether nobody waits in the bucket of `key`. Whoever changed the futex's word before asking is seen by whoever waits later.
pub(super) fn is_empty(key: &Key) -> bool {
    core::sync::atomic::fence(Ordering::SeqCst);
    BUCKETS[key.hash(COUNT)].len.load(Ordering::SeqCst) == 0
}

/// Takes a waiter out of wherever it is; `false` if a wake has done so before.
pub(super) fn remove(waiting: &Arc<Waiting>) -> bool {
    loop {
        let index = waiting.bucket.load(Ordering::Acquire);
        let mut bucket = lock_index(index);
        if let Some(at) = bucket.waiters.iter().position(|(_, w)| Arc::ptr_eq(w, waiting)) {
            bucket.waiters.remove(at);
            return true;
        }
        if waiting.bucket.load(Ordering::Acquire) == index {
            return false;
        }
    }
}

fn lock_index(index: usize) -> Locked {
    Locked { index, waiters: BUCKETS[index].waiters.lock() }
}

impl Locked {
    /// Says that somebody is about to be added, before the futex's word is read: a wake either sees us, or we see its change.
    pub fn announce(&self) {
        BUCKETS[self.index].len.store(self.waiters.len() + 1, Ordering::SeqCst);
        core::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Adds a waiter at the end.
    pub fn add(&mut self, key: Key, waiting: Arc<Waiting>) {
        waiting.bucket.store(self.index, Ordering::Release);
        self.waiters.push_back((key, waiting));
    }

    /// The bucket's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Takes out the first waiter for `key` with one of `bits`.
    pub fn take(&mut self, key: &Key, bits: u32) -> Option<Arc<Waiting>> {
        let at = self.waiters.iter().position(|(k, w)| k == key && w.bits & bits != 0)?;
        self.waiters.remove(at).map(|(_, waiting)| waiting)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        BUCKETS[self.index].len.store(self.waiters.len(), Ordering::SeqCst);
    }
}
