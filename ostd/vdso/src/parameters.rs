//! [`Parameters`]: what the kernel tells the vDSO.

use core::sync::atomic::{AtomicU64, Ordering};

/// The start of the page before the image.
///
/// Only the offset changes while processes look (clock_settime(2)), and it is one aligned word, stored at once: so readers need neither a
/// sequence counter nor a second try. A clock that is slewed, which changes scale and base together, will need one.
#[derive(Debug)]
#[repr(C)]
pub struct Parameters {
    /// TSC at monotonic time zero.
    pub(crate) tsc_base: AtomicU64,
    /// Nanoseconds per tick, times 2 to the power of `shift`.
    pub(crate) mult: AtomicU64,
    /// At most 63.
    pub(crate) shift: AtomicU64,
    /// What real time is ahead of monotonic time, in nanoseconds.
    pub(crate) realtime_offset_ns: AtomicU64,
}

/// The parameters as words, in their order in memory: byte offset, value.
pub type Words = [(usize, u64); 4];

impl Parameters {
    /// Byte offset in the page of the one word that changes.
    pub const REALTIME_OFFSET: usize = core::mem::offset_of!(Self, realtime_offset_ns);

    /// What to write into the page: byte offsets and native words.
    pub const fn words(tsc_base: u64, mult: u32, shift: u32, realtime_offset_ns: u64) -> Words {
        [
            (core::mem::offset_of!(Self, tsc_base), tsc_base),
            (core::mem::offset_of!(Self, mult), mult as u64),
            (core::mem::offset_of!(Self, shift), shift as u64),
            (Self::REALTIME_OFFSET, realtime_offset_ns),
        ]
    }

    /// Nanoseconds since boot at `tsc`: the same arithmetic as ostd's `timer::now_ns`, so that both agree to the nanosecond.
    #[inline]
    pub(crate) fn monotonic_ns(&self, tsc: u64) -> u64 {
        // A CPU whose TSC is a little behind the boot CPU's must not see a time before zero.
        let ticks = tsc.saturating_sub(self.tsc_base.load(Ordering::Relaxed));
        let product = u128::from(ticks) * u128::from(self.mult.load(Ordering::Relaxed));
        // The mask, which changes nothing, tells the compiler that the shift stays below the width of half a product.
        (product >> (self.shift.load(Ordering::Relaxed) & 63)) as u64
    }

    #[inline]
    pub(crate) fn realtime_offset_ns(&self) -> u64 {
        self.realtime_offset_ns.load(Ordering::Relaxed)
    }
}
