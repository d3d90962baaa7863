//! Signals that have arrived and were not taken yet: one queue for a thread, one for its process.

use super::{SigInfo, SigSet, Signal};
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::SpinLock;

/// A queue of pending signals. Standard signals are in it once at most, real-time ones as often as they were sent.
#[derive(Debug, Default)]
pub struct Pending {
    // Beside the queue, so that asking whether anything is there costs a load.
    bits: AtomicU64,
    queue: SpinLock<VecDeque<SigInfo>>,
}

impl Pending {
    /// Nothing pending.
    pub const fn new() -> Self {
        Self { bits: AtomicU64::new(0), queue: SpinLock::new(VecDeque::new()) }
    }

    /// Which signals are pending.
    pub fn set(&self) -> SigSet {
        SigSet(self.bits.load(Ordering::SeqCst))
    }

    /// Adds a signal; `false` if it is a standard one that is there already, or `limit` entries are.
    pub fn push(&self, info: SigInfo, limit: usize) -> Result<(), Full> {
        let mut queue = self.queue.lock_irq();
        let bits = SigSet(self.bits.load(Ordering::Relaxed));
        if !info.signal.is_real_time() && bits.contains(info.signal) {
            return Ok(());
        }
        if queue.len() >= limit && info.signal.is_real_time() {
            return Err(Full);
        }
        queue.push_back(info);
        self.bits.store(bits.with(info.signal).0, Ordering::SeqCst);
        Ok(())
    }

    /// Takes the first signal of `set`: synchronous ones first, then by number, then by age.
    pub fn take(&self, set: SigSet) -> Option<SigInfo> {
        if self.set().0 & set.0 == 0 {
            return None;
        }
        let mut queue = self.queue.lock_irq();
        let bits = SigSet(self.bits.load(Ordering::Relaxed));
        let wanted = SigSet(bits.0 & set.0);
        let signal = SigSet(wanted.0 & SigSet::SYNCHRONOUS.0).first().or(wanted.first())?;
        let at = queue.iter().position(|info| info.signal == signal)?;
        let info = queue.remove(at);
        if !queue.iter().any(|info| info.signal == signal) {
            self.bits.store(bits.minus(SigSet::of(&[signal])).0, Ordering::SeqCst);
        }
        info
    }

    /// Forgets all of `set`.
    pub fn discard(&self, set: SigSet) {
        if self.set().0 & set.0 == 0 {
            return;
        }
        let mut queue = self.queue.lock_irq();
        queue.retain(|info| !set.contains(info.signal));
        let bits = SigSet(self.bits.load(Ordering::Relaxed));
        self.bits.store(bits.minus(set).0, Ordering::SeqCst);
    }

    /// How many entries of `signal` there are.
    pub fn len(&self) -> usize {
        self.queue.lock_irq().len()
    }

    /// Whether `signal` is pending.
    pub fn contains(&self, signal: Signal) -> bool {
        self.set().contains(signal)
    }
}

/// RLIMIT_SIGPENDING is used up.
#[derive(Clone, Copy, Debug)]
pub struct Full;
