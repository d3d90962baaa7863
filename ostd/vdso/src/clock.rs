//! Which clock shows what: the same as the kernel's `time/clock.rs`.

use crate::Parameters;

/// Nanoseconds between the steps that the coarse clocks claim (clock_getres(2)); they are as exact as the others, for remembering the
/// last tick would cost no less than reading the TSC.
pub const COARSE_RESOLUTION_NS: i64 = 4_000_000;

/// CLOCK_REALTIME, its coarse form, TAI.
const REALTIME: u32 = 1 << 0 | 1 << 5 | 1 << 11;
/// CLOCK_MONOTONIC, its raw and coarse forms, BOOTTIME.
const MONOTONIC: u32 = 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7;
const COARSE: u32 = 1 << 5 | 1 << 6;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Time {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, less than 10⁹.
    pub nanoseconds: i64,
}

impl Time {
    #[inline]
    pub(crate) fn from_ns(ns: u64) -> Self {
        const PER_SECOND: u64 = 1_000_000_000;
        Self { seconds: (ns / PER_SECOND) as i64, nanoseconds: (ns % PER_SECOND) as i64 }
    }
}

/// The time of clock `id` at `tsc`; `None` for clocks that only the kernel knows.
#[inline]
pub fn now(id: i32, parameters: &Parameters, tsc: impl FnOnce() -> u64) -> Option<Time> {
    let bit = bit_of(id);
    if bit & (REALTIME | MONOTONIC) == 0 {
        return None;
    }
    let mut ns = parameters.monotonic_ns(tsc());
    if bit & REALTIME != 0 {
        ns = ns.saturating_add(parameters.realtime_offset_ns());
    }
    Some(Time::from_ns(ns))
}

/// The resolution of clock `id`; `None` for clocks that only the kernel knows.
#[inline]
pub fn resolution(id: i32) -> Option<Time> {
    match bit_of(id) {
        bit if bit & COARSE != 0 => Some(Time { seconds: 0, nanoseconds: COARSE_RESOLUTION_NS }),
        bit if bit & (REALTIME | MONOTONIC) != 0 => Some(Time { seconds: 0, nanoseconds: 1 }),
        _ => None,
    }
}

/// A bit for each small id; none for the others (negative ones name CPU clocks of processes).
#[inline]
fn bit_of(id: i32) -> u32 {
    1_u32.checked_shl(id.cast_unsigned()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Time, now, resolution};
    use crate::Parameters;

    fn parameters() -> Parameters {
        // 2 GHz, base 1000, real time 10 s ahead.
        Parameters {
            tsc_base: 1000.into(),
            mult: (1 << 31).into(),
            shift: 32.into(),
            realtime_offset_ns: 10_000_000_000.into(),
        }
    }

    #[test]
    fn clocks_run_on_the_tsc() {
        let at = |id, tsc| now(id, &parameters(), || tsc).map(|time| (time.seconds, time.nanoseconds));
        for id in [1, 4, 6, 7] {
            assert_eq!(at(id, 1000 + 3_000_000_014), Some((1, 500_000_007)), "clock {id}");
        }
        for id in [0, 5, 11] {
            assert_eq!(at(id, 1000 + 3_000_000_014), Some((11, 500_000_007)), "clock {id}");
        }
    }

    #[test]
    fn a_tsc_before_the_base_is_time_zero() {
        assert_eq!(now(1, &parameters(), || 5), Some(Time::default()));
    }

    #[test]
    fn an_uptime_of_centuries_does_not_overflow() {
        let time = now(1, &parameters(), || u64::MAX).map(|time| time.seconds);
        assert_eq!(time, Some(9_223_372_036));
    }

    #[test]
    fn other_clocks_are_the_kernels() {
        for id in [2, 3, 8, 9, 10, 12, 31, 32, 33, -1, i32::MIN, i32::MAX] {
            assert_eq!((now(id, &parameters(), || 0), resolution(id)), (None, None), "clock {id}");
        }
    }
}
