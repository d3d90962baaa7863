//! Times (clock_gettime(2), gettimeofday(2), setitimer(2), timer_settime(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Seconds and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of timespec(3type)")]
pub struct timespec {
    pub tv_sec: i64,
    pub tv_nsec: i64,
}

/// Seconds and microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of timeval(3type)")]
pub struct timeval {
    pub tv_sec: i64,
    pub tv_usec: i64,
}

/// A periodic timer of setitimer(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of getitimer(2)")]
pub struct itimerval {
    pub it_interval: timeval,
    pub it_value: timeval,
}

/// A periodic timer of timer_settime(2) and timerfd_settime(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of itimerspec(3type)")]
pub struct itimerspec {
    pub it_interval: timespec,
    pub it_value: timespec,
}

crate::assert_sizes! { timespec = 16, timeval = 16, itimerval = 32, itimerspec = 32, }

impl timespec {
    /// From nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
    }

    /// In nanoseconds, saturating; `None` if it is negative or its nanoseconds are not below 10^9.
    pub const fn to_ns(self) -> Option<u64> {
        if self.tv_sec < 0 || self.tv_nsec < 0 || self.tv_nsec >= 1_000_000_000 {
            return None;
        }
        Some((self.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(self.tv_nsec as u64))
    }
}

impl timeval {
    /// From nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self { tv_sec: (ns / 1_000_000_000) as i64, tv_usec: (ns % 1_000_000_000 / 1000) as i64 }
    }

    /// In nanoseconds, saturating; `None` if it is negative or its microseconds are not below 10^6.
    pub const fn to_ns(self) -> Option<u64> {
        if self.tv_sec < 0 || self.tv_usec < 0 || self.tv_usec >= 1_000_000 {
            return None;
        }
        Some((self.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(self.tv_usec as u64 * 1000))
    }
}
