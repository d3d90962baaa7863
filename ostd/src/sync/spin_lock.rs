//! A lock that spins. Holding it keeps the task on its CPU; with [`SpinLock::lock_irq`] interrupts are off as well.
//! A lock that an interrupt handler takes must be taken with `lock_irq` everywhere, else it deadlocks.

use crate::irq::{self, IrqGuard};
use crate::task::{PreemptGuard, disable_preemption};
use core::cell::UnsafeCell;
use core::fmt;
use core::hint::spin_loop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A spinning lock.
pub struct SpinLock<T: ?Sized> {
    is_locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one CPU at a time.
unsafe impl<T: ?Sized + Send> Send for SpinLock<T> {}
// SAFETY: as above; sharing the lock only ever moves exclusive access between CPUs.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}

/// Exclusive access to what a [`SpinLock`] holds.
pub struct SpinLockGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
    // Fields drop in this order: interrupts come back before preemption does, and both after the unlock in `drop`.
    _irq: Option<IrqGuard>,
    _preempt: PreemptGuard,
}

impl<T> SpinLock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { is_locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock with preemption off.
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        let preempt = disable_preemption();
        self.acquire();
        SpinLockGuard { lock: self, _irq: None, _preempt: preempt }
    }

    /// Takes the lock with preemption and interrupts off.
    pub fn lock_irq(&self) -> SpinLockGuard<'_, T> {
        let preempt = disable_preemption();
        let irq = irq::disable_local();
        self.acquire();
        SpinLockGuard { lock: self, _irq: Some(irq), _preempt: preempt }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let preempt = disable_preemption();
        // Not `then_some`: a guard that is made and dropped would unlock what somebody else holds.
        self.try_acquire().then(|| SpinLockGuard { lock: self, _irq: None, _preempt: preempt })
    }

    /// As [`Self::try_lock`], with interrupts off.
    pub fn try_lock_irq(&self) -> Option<SpinLockGuard<'_, T>> {
        let preempt = disable_preemption();
        let irq = irq::disable_local();
        self.try_acquire().then(|| SpinLockGuard { lock: self, _irq: Some(irq), _preempt: preempt })
    }

    /// The value, through exclusive access to the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn acquire(&self) {
        while !self.try_acquire() {
            while self.is_locked.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
    }

    fn try_acquire(&self) -> bool {
        self.is_locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.is_locked.store(false, Ordering::Release);
    }
}

impl<T: ?Sized> Deref for SpinLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists only while the lock is ours.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists only while the lock is ours, and `&mut self` makes this the only reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

// SAFETY: a shared guard gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for SpinLockGuard<'_, T> {}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("SpinLock").field(&&*guard).finish(),
            None => f.write_str("SpinLock(<locked>)"),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::SpinLock;

    #[test]
    fn a_failed_attempt_leaves_the_lock_to_its_holder() {
        let lock = SpinLock::new(1);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        assert!(lock.try_lock_irq().is_none());
        assert!(lock.try_lock().is_none(), "the first attempts must not have unlocked it");
        drop(held);
        assert_eq!(lock.try_lock().map(|value| *value), Some(1));
    }
}
