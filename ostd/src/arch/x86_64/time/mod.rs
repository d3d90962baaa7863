//! Clocks: the TSC and what it is measured against, and the real-time clock.

pub(crate) mod calibrate;
pub(crate) mod rtc;

use core::arch::asm;

/// Reads the TSC; not before what stands above it in program order.
#[inline]
pub(crate) fn tsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: LFENCE and RDTSC exist on every x86-64 CPU and touch no memory.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    };
    u64::from(high) << 32 | u64::from(low)
}
