//! A lock that sleeps and lets readers share. Writers that wait keep new readers out, so they do get in.

use super::WaitQueue;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};

const WRITER: usize = 1 << (usize::BITS - 1);
const READERS: usize = WRITER - 1;

/// A sleeping reader-writer lock. Take it in task context only. It is not recursive, for readers neither.
pub struct RwLock<T: ?Sized> {
    /// [`WRITER`], or the number of readers.
    state: AtomicUsize,
    writers_waiting: AtomicUsize,
    queue: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one writer or to many readers.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as above; readers share `&T` between CPUs, hence `Sync`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// Shared access.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: core::marker::PhantomData<*const ()>,
}

/// Exclusive access.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: core::marker::PhantomData<*const ()>,
}

impl<T> RwLock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self {
            state: AtomicUsize::new(0),
            writers_waiting: AtomicUsize::new(0),
            queue: WaitQueue::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Shares the value, sleeping while a writer has it or waits for it.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        if !self.try_acquire_read() {
            self.queue.wait_until(|| self.try_acquire_read().then_some(()));
        }
        RwLockReadGuard { lock: self, _not_send: core::marker::PhantomData }
    }

    /// Takes the value, sleeping while anybody has it.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        if !self.try_acquire_write() {
            self.writers_waiting.fetch_add(1, Ordering::SeqCst);
            self.queue.wait_until(|| self.try_acquire_write().then_some(()));
            self.writers_waiting.fetch_sub(1, Ordering::SeqCst);
        }
        RwLockWriteGuard { lock: self, _not_send: core::marker::PhantomData }
    }

    /// Shares the value if no writer has it or waits for it.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.try_acquire_read()
            // Not `then_some`: a guard that is made and dropped would give back what was never taken.
            .then(|| RwLockReadGuard { lock: self, _not_send: core::marker::PhantomData })
    }

    /// Takes the value if nobody has it.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.try_acquire_write()
            .then(|| RwLockWriteGuard { lock: self, _not_send: core::marker::PhantomData })
    }

    /// The value, through exclusive access to the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn try_acquire_read(&self) -> bool {
        if self.writers_waiting.load(Ordering::SeqCst) > 0 {
            return false;
        }
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |s| (s < READERS).then_some(s + 1))
            .is_ok()
    }

    fn try_acquire_write(&self) -> bool {
        self.state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        if self.lock.state.fetch_sub(1, Ordering::Release) == 1 {
            self.lock.queue.wake_all();
        }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.state.store(0, Ordering::Release);
        self.lock.queue.wake_all();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while a read guard exists there is no writer.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while the write guard exists nobody else has access.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: while the write guard exists nobody else has access, and `&mut self` makes this the only reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_tuple("RwLock").field(&&*guard).finish(),
            None => f.write_str("RwLock(<locked>)"),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::RwLock;

    #[test]
    fn a_failed_attempt_leaves_the_lock_to_its_holders() {
        let lock = RwLock::new(1);
        let reader = lock.try_read().unwrap();
        assert!(lock.try_write().is_none());
        assert!(lock.try_write().is_none(), "the first attempt must not have freed it");
        drop(reader);
        let writer = lock.try_write().unwrap();
        assert!(lock.try_read().is_none());
        assert!(lock.try_write().is_none(), "the attempt to read must not have changed the count");
        drop(writer);
        assert_eq!(lock.try_read().map(|value| *value), Some(1));
    }
}
