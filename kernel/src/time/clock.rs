//! The clocks of clock_gettime(2). All run on the monotonic one; real time is that plus an offset that clock_settime(2) moves.

use super::cpu_clock::CpuClock;
use crate::error::{Errno, Result};
use crate::thread::Thread;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::WaitQueue;

/// A clock that user space can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Wall-clock time, and TAI, which is the same as long as nobody sets the difference.
    Realtime,
    /// Since boot; BOOTTIME is the same, as the machine is never suspended, and RAW and the coarse one as well, for the TSC is not slewed and
    /// reading it costs no more than remembering it.
    Monotonic,
    /// CPU time of a process or a thread.
    Cpu(CpuClock),
}

/// What real time is ahead of monotonic time, in nanoseconds; 0 before the first use.
static OFFSET_NS: AtomicU64 = AtomicU64::new(0);

/// Woken when real time is set: sleeps until an absolute real time look again.
pub static REALTIME_SET: WaitQueue = WaitQueue::new();

/// Resolution of all clocks in nanoseconds.
pub const RESOLUTION_NS: u64 = 1;

/// Nanoseconds between the coarse clocks' steps (clock_getres(2)): Linux's tick at 250 Hz.
pub const COARSE_RESOLUTION_NS: u64 = 4_000_000;

/// Nanoseconds since boot.
pub fn monotonic_now() -> u64 {
    ostd::timer::now_ns()
}

/// Nanoseconds since the Unix epoch.
pub fn realtime_now() -> u64 {
    monotonic_now().saturating_add(offset_ns())
}

/// What real time is ahead of monotonic time, in nanoseconds.
pub fn offset_ns() -> u64 {
    match OFFSET_NS.load(Ordering::Acquire) {
        0 => ostd::timer::boot_wall_ns(),
        offset => offset,
    }
}

/// Sets real time.
///
/// # Errors
/// EINVAL for a time before boot: the monotonic clock cannot be ahead of real time (clock_settime(2)).
pub fn set_realtime(now_ns: u64) -> Result<()> {
    let offset = now_ns.checked_sub(monotonic_now()).filter(|&offset| offset > 0).ok_or(Errno::EINVAL)?;
    OFFSET_NS.store(offset, Ordering::Release);
    crate::vdso::publish_realtime();
    REALTIME_SET.wake_all();
    super::countdown::realtime_was_set();
    Ok(())
}

impl Clock {
    /// By clock id; `None` for a number that names none.
    pub fn from_id(id: i32) -> Option<Self> {
        match id {
            0 | 5 | 8 | 11 => Some(Self::Realtime),
            1 | 4 | 6 | 7 | 9 => Some(Self::Monotonic),
            2 | 3 => Some(Self::Cpu(CpuClock::own(id == 3))),
            _ if id < 0 => CpuClock::from_id(id).map(Self::Cpu),
            _ => None,
        }
    }

    /// Whether the id names one of the coarse clocks.
    pub fn is_coarse(id: i32) -> bool {
        matches!(id, 5 | 6)
    }

    /// The same clock for whoever reads it: a timer reads its clock for its maker.
    pub fn resolve(self, reader: &Thread) -> Self {
        match self {
            Self::Cpu(cpu) => Self::Cpu(cpu.resolve(reader)),
            other => other,
        }
    }

    /// Its time now, in nanoseconds.
    ///
    /// # Errors
    /// EINVAL if it is that of a process or thread that is gone.
    pub fn now(self) -> Result<u64> {
        match self {
            Self::Realtime => Ok(realtime_now()),
            Self::Monotonic => Ok(monotonic_now()),
            Self::Cpu(cpu) => cpu.now(),
        }
    }

    /// The monotonic time at which this clock will show `time_ns`, as things stand; not for CPU clocks.
    pub fn to_monotonic(self, time_ns: u64) -> u64 {
        match self {
            Self::Realtime => time_ns.saturating_sub(offset_ns()),
            _ => time_ns,
        }
    }
}
