//! What memory management asks of the machine: the real thing on the target, and on the host a stand-in, so that everything above it
//! runs under `cargo test` and Miri with several threads as CPUs.

use core::cell::UnsafeCell;

use crate::cpu::MAX_CPUS;

#[cfg(target_os = "none")]
pub(super) use crate::arch::mm::*;

#[cfg(not(target_os = "none"))]
pub(super) use super::host::*;

/// Runs `f` with interrupts off; it is told the CPU's index.
#[inline]
pub(super) fn with_cpu<R>(f: impl FnOnce(usize) -> R) -> R {
    #[cfg(target_os = "none")]
    {
        let _irq = crate::irq::disable_local();
        f(crate::cpu::current_racy().as_usize())
    }
    #[cfg(not(target_os = "none"))]
    f(cpu_index())
}

/// Keeps the task on its CPU.
#[derive(Debug)]
pub(super) struct Pin {
    #[cfg(target_os = "none")]
    _guard: crate::task::PreemptGuard,
}

/// See [`Pin`].
#[inline]
pub(super) fn pin() -> Pin {
    Pin {
        #[cfg(target_os = "none")]
        _guard: crate::task::disable_preemption(),
    }
}

/// A value for each CPU in static memory, usable before there is a heap.
pub(super) struct PerCpuCell<T>([Padded<T>; MAX_CPUS]);

/// One CPU's value on its own cache line.
#[repr(align(64))]
pub(super) struct Padded<T>(UnsafeCell<T>);

// SAFETY: `with` gives each CPU its own value only, one borrow at a time.
unsafe impl<T: Send> Sync for PerCpuCell<T> {}

impl<T> Padded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

impl<T> PerCpuCell<T> {
    pub(super) const fn new(values: [Padded<T>; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// Runs `f` on this CPU's index and value with interrupts off.
    ///
    /// # Safety
    /// `f` does not come back to the same cell.
    #[inline]
    pub(super) unsafe fn with<R>(&self, f: impl FnOnce(usize, &mut T) -> R) -> R {
        with_cpu(|cpu| {
            // SAFETY: only this CPU uses this slot, interrupts are off, and `f` does not re-enter: this is the only reference.
            f(cpu, unsafe { &mut *self.0[cpu].0.get() })
        })
    }
}
