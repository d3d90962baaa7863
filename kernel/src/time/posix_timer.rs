//! POSIX timers (timer_create(2)).
//!
//! At most one signal of a timer is pending; what falls due meanwhile is counted, and is the overrun count of the next one that is taken.

use super::alarm::Expire;
use super::clock::Clock;
use super::countdown::{Countdown, Setting};
use crate::process::Process;
use crate::signal::{SigFields, SigInfo, Signal, send};
use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use coffer_abi_types::signal::SI_TIMER;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// What a timer does when it fires.
#[derive(Clone, Debug)]
pub enum Notify {
    /// Nothing (SIGEV_NONE).
    Nothing,
    /// A signal to the process (SIGEV_SIGNAL).
    Process(Signal, u64),
    /// A signal to a thread (SIGEV_THREAD_ID).
    Thread(Weak<Thread>, Signal, u64),
}

/// A POSIX timer.
#[derive(Debug)]
pub struct PosixTimer {
    id: i32,
    owner: Weak<Process>,
    notify: Notify,
    countdown: Countdown,
    /// Times that it fired for the signal that is pending.
    fired: AtomicU64,
    /// timer_getoverrun(2).
    overrun: AtomicI32,
}

impl PosixTimer {
    /// A disarmed timer.
    pub fn new(id: i32, clock: Clock, notify: Notify, owner: &Arc<Process>) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            id,
            owner: Arc::downgrade(owner),
            notify,
            countdown: Countdown::new(clock, this.clone()),
            fired: AtomicU64::new(0),
            overrun: AtomicI32::new(0),
        })
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        self.countdown.clock()
    }

    /// Sets it; returns what was left and the interval of before.
    pub fn set(&self, setting: Setting) -> (u64, u64) {
        self.overrun.store(0, Ordering::Relaxed);
        self.countdown.set(setting)
    }

    /// What is left (0: disarmed) and the interval.
    pub fn get(&self) -> (u64, u64) {
        self.countdown.get()
    }

    /// Overruns of the signal that was taken last.
    pub fn overrun(&self) -> i32 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Its signal is being taken: returns the overrun count to put into it.
    pub fn signal_taken(&self) -> i32 {
        let missed = self.countdown.take_due().unwrap_or(0);
        let fired = self.fired.swap(0, Ordering::Relaxed).saturating_add(missed);
        if missed > 0 {
            self.countdown.rearm();
        }
        let overrun = i32::try_from(fired.saturating_sub(1)).unwrap_or(i32::MAX);
        self.overrun.store(overrun, Ordering::Relaxed);
        overrun
    }

    /// Whether its signal waits to be taken, or another of the same number that stands for it.
    fn is_pending(&self) -> bool {
        match &self.notify {
            Notify::Nothing => true,
            Notify::Process(signal, _) => {
                self.owner.upgrade().is_some_and(|process| process.signals.pending.contains(*signal))
            }
            Notify::Thread(thread, signal, _) => {
                thread.upgrade().is_some_and(|thread| thread.signals.pending.contains(*signal))
            }
        }
    }

    fn notify(&self) {
        let info = |signal, value| SigInfo {
            signal,
            code: SI_TIMER,
            fields: SigFields::Timer { id: self.id, overrun: 0, value },
        };
        // A full queue loses the signal, and the next expiry tries again.
        let _ = match &self.notify {
            Notify::Nothing => Ok(()),
            Notify::Process(signal, value) => match self.owner.upgrade() {
                Some(process) => send::to_process(&process, info(*signal, *value)),
                None => Ok(()),
            },
            Notify::Thread(thread, signal, value) => match thread.upgrade() {
                Some(thread) => send::to_thread(&thread, info(*signal, *value)),
                None => Ok(()),
            },
        };
    }
}

impl Expire for PosixTimer {
    fn expire(&self) {
        let Some(times) = self.countdown.take_due() else { return };
        let before = self.fired.fetch_add(times, Ordering::Relaxed);
        // One that is pending stands for this one as well.
        if before == 0 || !self.is_pending() {
            self.notify();
        }
        self.countdown.rearm();
    }
}
