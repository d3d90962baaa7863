//! Time: the calibrated TSC as a monotonic clock, the RTC's wall time at boot, and one-shot timers on each CPU's
//! queue, driven by the local APIC.

use alloc::boxed::Box;
use alloc::sync::Arc;

/// Nanoseconds since boot, monotonic across CPUs.
pub fn now_ns() -> u64 {
    todo!()
}

/// Wall-clock time (nanoseconds since the Unix epoch) at the moment when [`now_ns`] was zero.
pub fn boot_wall_ns() -> u64 {
    todo!()
}

/// How to turn a TSC value into [`now_ns`]: `((tsc - base) as u128 * mult) >> shift`, for the vDSO.
#[derive(Clone, Copy, Debug)]
pub struct TscScale {
    /// TSC at time zero.
    pub base: u64,
    /// Multiplier.
    pub mult: u32,
    /// Shift, less than 64.
    pub shift: u32,
}

/// The scale in use; it never changes.
pub fn tsc_scale() -> TscScale {
    todo!()
}

/// A one-shot timer. Its callback runs in interrupt context: it must not sleep.
pub struct Timer {
    _callback: Box<dyn Fn() + Send + Sync>,
}

impl core::fmt::Debug for Timer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Timer")
    }
}

impl Timer {
    /// A timer that is not armed.
    pub fn new(callback: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { _callback: Box::new(callback) })
    }

    /// Arms it for `deadline_ns` (see [`now_ns`]); replaces an earlier deadline. A deadline in the past fires at once.
    pub fn arm(self: &Arc<Self>, deadline_ns: u64) {
        let _ = deadline_ns;
        todo!()
    }

    /// Disarms it. The callback may still be running on another CPU when this returns. Returns whether it was armed.
    pub fn cancel(&self) -> bool {
        todo!()
    }

    /// The deadline, if armed.
    pub fn deadline_ns(&self) -> Option<u64> {
        todo!()
    }
}
