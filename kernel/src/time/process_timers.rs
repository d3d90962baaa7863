//! The timers that a process has. A child starts without; exec(2) keeps the interval timers and deletes the POSIX ones.

use super::clock::Clock;
use super::countdown::Countdown;
use super::interval_timer::{IntervalTimer, Kind};
use super::posix_timer::{Notify, PosixTimer};
use crate::error::{Errno, Result};
use crate::process::Process;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use ostd::sync::{Once, SpinLock};

/// All timers of a process.
#[derive(Debug, Default)]
pub struct ProcessTimers {
    interval: [Once<Arc<IntervalTimer>>; 3],
    posix: SpinLock<BTreeMap<i32, Arc<PosixTimer>>>,
}

/// The most POSIX timers of a process: as many as may have signals pending by default (RLIMIT_SIGPENDING).
const MAX_POSIX: usize = 15_000;

impl ProcessTimers {
    /// The interval timer of `kind`; `process` is the one that these timers belong to.
    pub fn interval(&self, kind: Kind, process: &Arc<Process>) -> &Arc<IntervalTimer> {
        self.interval[kind as usize].call_once(|| IntervalTimer::new(kind, process))
    }

    /// Makes a POSIX timer; `notify` is given its id.
    ///
    /// # Errors
    /// EAGAIN if there are too many.
    pub fn create(
        &self,
        clock: Clock,
        process: &Arc<Process>,
        notify: impl FnOnce(i32) -> Notify,
    ) -> Result<i32> {
        let mut timers = self.posix.lock();
        if timers.len() >= MAX_POSIX || ostd::mm::is_exhausted() {
            return Err(Errno::EAGAIN.into());
        }
        Countdown::reserve().map_err(|_| Errno::EAGAIN)?;
        let mut id = 0;
        for &used in timers.keys() {
            if used != id {
                break;
            }
            id += 1;
        }
        timers.insert(id, PosixTimer::new(id, clock, notify(id), process));
        Ok(id)
    }

    /// The POSIX timer `id`, or EINVAL.
    ///
    /// # Errors
    /// As said.
    pub fn posix(&self, id: i32) -> Result<Arc<PosixTimer>> {
        self.posix.lock().get(&id).cloned().ok_or(Errno::EINVAL.into())
    }

    /// Deletes the POSIX timer `id`, or EINVAL.
    ///
    /// # Errors
    /// As said.
    pub fn delete(&self, id: i32) -> Result<()> {
        let timer = self.posix.lock().remove(&id);
        timer.map(drop).ok_or(Errno::EINVAL.into())
    }

    /// Deletes all POSIX timers: exec(2).
    pub fn delete_posix(&self) {
        let timers = core::mem::take(&mut *self.posix.lock());
        drop(timers);
    }

    /// Stops everything: exit(2).
    pub fn stop_all(&self) {
        self.delete_posix();
        self.interval.iter().filter_map(Once::get).for_each(|timer| {
            timer.set(0, 0);
        });
    }

    /// The signal of POSIX timer `id` is being taken from its queue: the overrun count to put into it.
    pub fn signal_taken(&self, id: i32) -> i32 {
        self.posix(id).map_or(0, |timer| timer.signal_taken())
    }
}
