//! A deadline on any clock, once or again and again: what interval timers and POSIX timers have in common.

use super::alarm::{Alarm, Expire};
use super::clock::{COARSE_RESOLUTION_NS, Clock, monotonic_now};
use crate::error::{Errno, Result};
use alloc::sync::Weak;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// When a timer fires next, in its clock's time, and at which interval then; all in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// `None`: disarmed.
    pub deadline_ns: Option<u64>,
    /// 0: once.
    pub interval_ns: u64,
}

/// A timer's clock, setting and alarm.
#[derive(Debug)]
pub struct Countdown {
    clock: Clock,
    alarm: Alarm,
    setting: SpinLock<Setting>,
}

/// The shortest time between two expiries of a repeating timer.
const MIN_STEP_NS: u64 = 50_000;

/// Those on real time, to be told when it is set.
static ON_REALTIME: SpinLock<Vec<Weak<dyn Expire>>> = SpinLock::new(Vec::new());

/// Lets all timers on real time look at it again.
pub(super) fn realtime_was_set() {
    let mut timers = ON_REALTIME.lock();
    timers.retain(|timer| timer.strong_count() > 0);
    let count = timers.len();
    drop(timers);
    // By number and from the end, for there may be no memory for a copy: those that go meanwhile move others down, where they are still met.
    for at in (0..count).rev() {
        let timer = ON_REALTIME.lock().get(at).and_then(Weak::upgrade);
        if let Some(timer) = timer {
            timer.expire();
        }
    }
}

impl Countdown {
    /// Makes room in the books for one more. Before [`Self::new`].
    ///
    /// # Errors
    /// ENOMEM.
    pub fn reserve() -> Result<()> {
        ON_REALTIME.lock().try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        Alarm::reserve()
    }

    /// Disarmed; when it is due, `target` is told and asks [`Self::take_due`].
    pub fn new(clock: Clock, target: Weak<dyn Expire>) -> Self {
        if clock == Clock::Realtime {
            let mut timers = ON_REALTIME.lock();
            timers.retain(|timer| timer.strong_count() > 0);
            timers.push(target.clone());
        }
        Self { clock, alarm: Alarm::new(target), setting: SpinLock::default() }
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Sets it; returns what was left until it would have fired (0: it was disarmed), and its interval.
    pub fn set(&self, new: Setting) -> (u64, u64) {
        let mut setting = self.setting.lock();
        let old = core::mem::replace(&mut *setting, new);
        drop(setting);
        let left = self.left(old);
        match new.deadline_ns {
            Some(deadline_ns) => self.arm(deadline_ns),
            None => self.alarm.cancel(),
        }
        left
    }

    /// What is left until it fires (0: it is disarmed), and its interval.
    pub fn get(&self) -> (u64, u64) {
        self.left(*self.setting.lock())
    }

    /// If it is due: how many times it has become due. A repeating one is set to the next time; it fires then only after
    /// [`Self::rearm`].
    pub fn take_due(&self) -> Option<u64> {
        let now_ns = self.clock.now().ok()?;
        let mut setting = self.setting.lock();
        let deadline_ns = setting.deadline_ns?;
        if now_ns < deadline_ns {
            drop(setting);
            self.arm(deadline_ns);
            return None;
        }
        let interval_ns = setting.interval_ns;
        if interval_ns == 0 {
            setting.deadline_ns = None;
            return Some(1);
        }
        let times = (now_ns - deadline_ns) / interval_ns + 1;
        setting.deadline_ns = Some(deadline_ns.saturating_add(times.saturating_mul(interval_ns)));
        Some(times)
    }

    /// Arms the alarm for the deadline as it is set, but not within [`MIN_STEP_NS`]: a timer with an interval of a nanosecond would
    /// keep the machine busy. What is missed is counted.
    pub fn rearm(&self) {
        let setting = *self.setting.lock();
        let Some(deadline_ns) = setting.deadline_ns else { return };
        match self.clock {
            Clock::Cpu(_) => self.arm(deadline_ns),
            clock => self.alarm.arm(clock.to_monotonic(deadline_ns).max(monotonic_now() + MIN_STEP_NS)),
        }
    }

    fn left(&self, setting: Setting) -> (u64, u64) {
        let Some(deadline_ns) = setting.deadline_ns else { return (0, setting.interval_ns) };
        let now_ns = self.clock.now().unwrap_or(deadline_ns);
        let left_ns = match deadline_ns.checked_sub(now_ns) {
            Some(left_ns) => left_ns,
            // Due, but not served yet: on to the next time.
            None if setting.interval_ns > 0 => {
                setting.interval_ns - (now_ns - deadline_ns) % setting.interval_ns
            }
            None => 0,
        };
        // An armed timer never says 0: that would mean disarmed.
        (left_ns.max(1), setting.interval_ns)
    }

    fn arm(&self, deadline_ns: u64) {
        let at = match self.clock {
            // CPU time passes at most as fast as there are CPUs; look again when it may have come.
            Clock::Cpu(_) => {
                let left_ns = deadline_ns.saturating_sub(self.clock.now().unwrap_or(deadline_ns));
                let step_ns = match left_ns {
                    0 => 0,
                    _ => (left_ns / ostd::cpu::count() as u64).max(COARSE_RESOLUTION_NS),
                };
                monotonic_now().saturating_add(step_ns)
            }
            _ => self.clock.to_monotonic(deadline_ns),
        };
        self.alarm.arm(at);
    }
}
