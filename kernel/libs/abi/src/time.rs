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

/// Clock parameters of adjtimex(2) and clock_adjtime(2).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of adjtimex(2)")]
pub struct timex {
    pub modes: u32,
    pub __pad1: u32,
    pub offset: i64,
    pub freq: i64,
    pub maxerror: i64,
    pub esterror: i64,
    pub status: i32,
    pub __pad2: u32,
    pub constant: i64,
    pub precision: i64,
    pub tolerance: i64,
    pub time: timeval,
    pub tick: i64,
    pub ppsfreq: i64,
    pub jitter: i64,
    pub shift: i32,
    pub __pad3: u32,
    pub stabil: i64,
    pub jitcnt: i64,
    pub calcnt: i64,
    pub errcnt: i64,
    pub stbcnt: i64,
    pub tai: i32,
    pub __reserved: [u32; 11],
}

/// CPU times in clock ticks (times(2)).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of times(2)")]
pub struct tms {
    pub tms_utime: i64,
    pub tms_stime: i64,
    pub tms_cutime: i64,
    pub tms_cstime: i64,
}

/// The time zone of gettimeofday(2): obsolete.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of gettimeofday(2)")]
pub struct timezone {
    pub tz_minuteswest: i32,
    pub tz_dsttime: i32,
}

crate::assert_sizes! { timex = 208, tms = 32, timezone = 8, }

/// TIMER_ABSTIME of clock_nanosleep(2) and timer_settime(2).
pub const TIMER_ABSTIME: u32 = 1;

/// Clock ticks a second (sysconf(_SC_CLK_TCK)).
pub const USER_HZ: u64 = 100;
