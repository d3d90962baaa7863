//! What a control group gets of the CPUs: a share by weight, and a limit for each period (the cpu controller's mechanism).
//!
//! A task's [`Entity`](super::Entity) knows its group's [`Share`]. Time that it runs is booked there and above. A group that has used up its quota
//! is throttled until the next period: its threads wait at the border to ring 3 ([`wait_for_quota`]), as they find out by their next tick. What
//! they used beyond it in the meantime is taken off the next one.
//!
//! COMPAT: weights divide the CPUs between the tasks of all groups as if these were side by side, each group counting as one task, however many
//! of its threads have run lately. Linux divides level by level.

use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ostd::sync::{Once, WaitQueue, Waiter};
use ostd::timer::{Timer, now_ns};

/// cpu.weight of a group that nobody gave one.
pub const DEFAULT_WEIGHT: u32 = 100;
/// cpu.max's period of such a group.
pub const DEFAULT_PERIOD_NS: u64 = 100_000_000;
/// No quota.
pub const UNLIMITED: u64 = u64::MAX;

/// For how long a thread that has run counts among those that compete.
const WINDOW_NS: u64 = 50_000_000;

/// A group's.
#[derive(Debug)]
pub struct Share {
    above: Option<Arc<Self>>,
    /// 0: the controller is off, every task counts for itself.
    weight: AtomicU32,
    quota_ns: AtomicU64,
    period_ns: AtomicU64,
    /// Used of the quota, from earlier periods too.
    used_ns: AtomicU64,
    is_throttled: AtomicBool,
    /// The period's timer is on its way.
    is_timing: AtomicBool,
    timer: Once<Arc<Timer>>,
    /// Rings when it is throttled no more.
    resumed: WaitQueue,
    /// What `cpu.stat` says.
    pub counts: Counts,
    /// Threads that have run in this window and in the last one.
    window: AtomicU64,
    seen: AtomicU32,
    active: AtomicU32,
}

/// What `cpu.stat` says of throttling.
#[derive(Debug, Default)]
pub struct Counts {
    /// Periods in which something ran.
    pub periods: AtomicU64,
    /// Of those, the ones in which the quota was used up.
    pub throttled: AtomicU64,
    /// For how long.
    pub throttled_ns: AtomicU64,
    since_ns: AtomicU64,
}

impl Share {
    /// For a group below that of `above`.
    pub fn new(above: Option<Arc<Self>>) -> Arc<Self> {
        let share = Arc::new(Self {
            above,
            weight: AtomicU32::new(0),
            quota_ns: AtomicU64::new(UNLIMITED),
            period_ns: AtomicU64::new(DEFAULT_PERIOD_NS),
            used_ns: AtomicU64::new(0),
            is_throttled: AtomicBool::new(false),
            is_timing: AtomicBool::new(false),
            timer: Once::new(),
            resumed: WaitQueue::new(),
            counts: Counts::default(),
            window: AtomicU64::new(0),
            seen: AtomicU32::new(0),
            active: AtomicU32::new(1),
        });
        let weak = Arc::downgrade(&share);
        share
            .timer
            .call_once(|| Timer::new(move || _ = Weak::upgrade(&weak).map(|share| share.begin_period())));
        share
    }

    /// cpu.weight; 0: the controller is off.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// cpu.max: quota ([`UNLIMITED`] for none) and period.
    pub fn limit_ns(&self) -> (u64, u64) {
        (self.quota_ns.load(Ordering::Relaxed), self.period_ns.load(Ordering::Relaxed))
    }

    /// Sets them. What was used so far is forgotten.
    pub fn set_limit_ns(&self, quota_ns: u64, period_ns: u64) {
        self.period_ns.store(period_ns, Ordering::Relaxed);
        self.quota_ns.store(quota_ns, Ordering::Relaxed);
        self.used_ns.store(0, Ordering::Relaxed);
        self.resume();
    }

    /// Books that a task of the group ran; `true` if it has to stop for now. Interrupts are off.
    pub(super) fn charge(&self, ran_ns: u64) -> bool {
        let mut must_stop = false;
        for share in self.lineage() {
            let quota_ns = share.quota_ns.load(Ordering::Relaxed);
            if quota_ns == UNLIMITED {
                continue;
            }
            share.begin_timing();
            let used_ns = share.used_ns.fetch_add(ran_ns, Ordering::Relaxed) + ran_ns;
            if used_ns >= quota_ns {
                share.throttle();
            }
            must_stop |= share.is_throttled.load(Ordering::Relaxed);
        }
        must_stop
    }

    /// The weight of a task of the group that would have `weight` by itself. `window` is when the task was seen last.
    pub(super) fn weigh(&self, weight: u64, window: &AtomicU64) -> u64 {
        let mut weight = weight;
        let mut is_on = false;
        for own in self.lineage().map(Self::weight).filter(|own| *own != 0) {
            is_on = true;
            weight = weight * u64::from(own) / u64::from(DEFAULT_WEIGHT);
        }
        if !is_on {
            return weight;
        }
        let now = now_ns() / WINDOW_NS;
        let before = self.window.swap(now, Ordering::Relaxed);
        if before != now {
            let seen = self.seen.swap(0, Ordering::Relaxed);
            self.active.store(seen.max(1), Ordering::Relaxed);
        }
        if window.swap(now, Ordering::Relaxed) != now {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        weight / u64::from(self.active.load(Ordering::Relaxed).max(1))
    }

    fn throttled(&self) -> Option<&Self> {
        self.lineage().find(|share| share.is_throttled.load(Ordering::SeqCst))
    }

    fn lineage(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |share| share.above.as_deref())
    }

    fn begin_timing(&self) {
        if !self.is_timing.load(Ordering::Relaxed) && !self.is_timing.swap(true, Ordering::SeqCst) {
            self.arm();
        }
    }

    fn arm(&self) {
        if let Some(timer) = self.timer.get() {
            timer.arm(now_ns() + self.period_ns.load(Ordering::Relaxed));
        }
    }

    fn throttle(&self) {
        if !self.is_throttled.swap(true, Ordering::SeqCst) {
            self.counts.throttled.fetch_add(1, Ordering::Relaxed);
            self.counts.since_ns.store(now_ns(), Ordering::Relaxed);
        }
    }

    fn resume(&self) {
        if self.is_throttled.swap(false, Ordering::SeqCst) {
            let since_ns = self.counts.since_ns.load(Ordering::Relaxed);
            self.counts.throttled_ns.fetch_add(now_ns().saturating_sub(since_ns), Ordering::Relaxed);
            self.resumed.wake_all();
        }
    }

    /// The timer's callback.
    fn begin_period(&self) {
        let (quota_ns, _) = self.limit_ns();
        self.counts.periods.fetch_add(1, Ordering::Relaxed);
        let less = |used: u64| Some(used.saturating_sub(quota_ns));
        let used_ns = self.used_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        if used_ns == 0 || quota_ns == UNLIMITED {
            // Nothing has run: the next to run starts a period of its own.
            self.is_timing.store(false, Ordering::SeqCst);
            self.resume();
            return;
        }
        self.arm();
        if used_ns.saturating_sub(quota_ns) < quota_ns {
            self.resume();
        }
    }
}

/// Keeps the current thread here as long as its group is throttled. Death, a stop and the freezer end it early.
pub fn wait_for_quota(thread: &Thread) {
    let Some(share) = thread.task().and_then(|task| super::of(&task)?.share()) else { return };
    let signals = &thread.process().signals;
    let waiter = Waiter::new();
    let _interruptible = thread.wake_on_signal(waiter.waker().clone());
    while let Some(throttled) = share.throttled() {
        throttled.resumed.enqueue(waiter.waker().clone());
        if !throttled.is_throttled.load(Ordering::SeqCst) {
            throttled.resumed.remove(waiter.waker());
            continue;
        }
        if thread.is_dying() || signals.has_control_work() {
            throttled.resumed.remove(waiter.waker());
            // What comes first over, it waits on.
            thread.note_throttled();
            return;
        }
        waiter.wait();
        throttled.resumed.remove(waiter.waker());
    }
}
