//! The three interval timers of a process (setitimer(2)).

use super::alarm::Expire;
use super::clock::Clock;
use super::countdown::{Countdown, Setting};
use super::cpu_clock::CpuClock;
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send};
use alloc::sync::{Arc, Weak};

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ITIMER_REAL: SIGALRM.
    Real,
    /// ITIMER_VIRTUAL: CPU time in user mode, SIGVTALRM.
    Virtual,
    /// ITIMER_PROF: CPU time, SIGPROF.
    Prof,
}

/// One interval timer.
#[derive(Debug)]
pub struct IntervalTimer {
    owner: Weak<Process>,
    signal: Signal,
    countdown: Countdown,
}

impl IntervalTimer {
    /// A disarmed timer of `owner`.
    pub fn new(kind: Kind, owner: &Arc<Process>) -> Arc<Self> {
        let (clock, signal) = match kind {
            Kind::Real => (Clock::Monotonic, Signal::ALRM),
            Kind::Virtual => (Clock::Cpu(CpuClock::of_process(owner.pid(), true)), Signal::VTALRM),
            Kind::Prof => (Clock::Cpu(CpuClock::of_process(owner.pid(), false)), Signal::PROF),
        };
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            owner: Arc::downgrade(owner),
            signal,
            countdown: Countdown::new(clock, this.clone()),
        })
    }

    /// Sets it to fire in `first_ns` (0: disarms it) and then every `interval_ns`; returns what it was.
    pub fn set(&self, first_ns: u64, interval_ns: u64) -> (u64, u64) {
        let now_ns = self.countdown.clock().now().unwrap_or(0);
        let deadline_ns = (first_ns > 0).then(|| now_ns.saturating_add(first_ns));
        self.countdown.set(Setting { deadline_ns, interval_ns })
    }

    /// What is left (0: disarmed) and the interval.
    pub fn get(&self) -> (u64, u64) {
        self.countdown.get()
    }
}

impl Expire for IntervalTimer {
    fn expire(&self) {
        let Some(owner) = self.owner.upgrade() else { return };
        if self.countdown.take_due().is_some() {
            // A standard signal is queued once, whoever sends it, so nothing can fail.
            let _ = send::to_process(&owner, SigInfo::kernel(self.signal));
            self.countdown.rearm();
        }
    }
}
