//! The pids controller: how many tasks there are in a group and below, and how many there may be. A process that ended counts until its
//! parent has waited for it.

use super::{Bell, Cgroup};
use crate::error::{Errno, Error, Result};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counters of a group.
#[derive(Debug)]
pub struct Pids {
    current: AtomicUsize,
    peak: AtomicUsize,
    max: AtomicUsize,
    refusals: AtomicU64,
    /// Rings at each refusal.
    pub events: Bell,
}

impl Default for Pids {
    fn default() -> Self {
        Self {
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            max: AtomicUsize::new(usize::MAX),
            refusals: AtomicU64::new(0),
            events: Bell::default(),
        }
    }
}

impl Pids {
    /// Tasks in the group and below.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// The most that there were.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The most that there may be; `None`: any number.
    pub fn max(&self) -> Option<usize> {
        Some(self.max.load(Ordering::Relaxed)).filter(|max| *max != usize::MAX)
    }

    /// Sets the limit. It binds what is made from now on, not what there is.
    pub fn set_max(&self, max: Option<usize>) {
        self.max.store(max.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// How often it kept a task from being made.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    fn add(&self, count: usize) -> usize {
        let now = self.current.fetch_add(count, Ordering::Relaxed) + count;
        self.peak.fetch_max(now, Ordering::Relaxed);
        now
    }

    fn sub(&self, count: usize) {
        self.current.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Cgroup {
    /// Counts one more task here and above.
    ///
    /// # Errors
    /// EAGAIN if a limit is in the way.
    pub(super) fn charge(&self) -> Result<()> {
        for (above, group) in self.lineage().enumerate() {
            let before = group.pids.current.fetch_add(1, Ordering::Relaxed);
            if before < group.pids.max.load(Ordering::Relaxed) {
                continue;
            }
            self.lineage().take(above + 1).for_each(|group| group.pids.sub(1));
            group.pids.refusals.fetch_add(1, Ordering::Relaxed);
            group.tell(&group.pids.events, "pids.events");
            return Err(Error::with(Errno::EAGAIN, "pids.max is reached"));
        }
        self.lineage().for_each(|group| {
            group.pids.peak.fetch_max(group.pids.current(), Ordering::Relaxed);
        });
        Ok(())
    }

    /// Counts `count` more whatever the limits say: moving processes is never refused for them.
    pub(super) fn force_charge(&self, count: usize) {
        for group in self.lineage() {
            let _now = group.pids.add(count);
        }
    }

    /// Counts `count` fewer.
    pub(super) fn uncharge(&self, count: usize) {
        self.lineage().for_each(|group| group.pids.sub(count));
    }
}
