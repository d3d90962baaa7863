//! Readiness: what poll, select and epoll ask of every open file, and how they are told of changes.

pub mod aio;
pub mod epoll;
pub mod eventfd;
pub mod inotify;
pub mod poll;
pub mod signalfd;
pub mod timerfd;

use crate::error::{Errno, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

bitflags! {
    /// Events as poll(2) and epoll(7) number them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct IoEvents: u32 {
        /// Data to read.
        const IN = 0x1;
        /// Urgent data.
        const PRI = 0x2;
        /// Room to write.
        const OUT = 0x4;
        /// Error; always reported.
        const ERR = 0x8;
        /// Hang-up; always reported.
        const HUP = 0x10;
        /// Bad descriptor (poll only).
        const NVAL = 0x20;
        /// As IN.
        const RDNORM = 0x40;
        /// Band data.
        const RDBAND = 0x80;
        /// As OUT.
        const WRNORM = 0x100;
        /// Band data.
        const WRBAND = 0x200;
        /// The peer closed its writing half.
        const RDHUP = 0x2000;
    }
}

/// Someone who wants to know when readiness changes. Called with spin locks held, maybe in interrupt context: it must neither sleep nor
/// call back into the file.
pub trait Observer: Send + Sync {
    /// `events` became true (at least; spurious calls are fine: the observer asks the file again later).
    fn on_events(&self, events: IoEvents);
}

/// The list of observers that a pollable object keeps. `poll()` of the object says what is ready; this says that it changed.
#[derive(Default)]
pub struct Pollee {
    len: AtomicUsize,
    observers: SpinLock<Vec<(Weak<dyn Observer>, IoEvents)>>,
}

impl core::fmt::Debug for Pollee {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Pollee({} observers)", self.len.load(Ordering::Relaxed))
    }
}

impl Pollee {
    /// Without observers.
    pub const fn new() -> Self {
        Self { len: AtomicUsize::new(0), observers: SpinLock::new(Vec::new()) }
    }

    /// Adds an observer for `mask` (ERR and HUP come along). It must look at the object's `poll()` after this, not before.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn register(&self, observer: Weak<dyn Observer>, mask: IoEvents) -> Result<()> {
        let mut observers = self.observers.lock_irq();
        if observers.len() == observers.capacity() {
            // Rather than grow for those that are gone.
            observers.retain(|(o, _)| o.strong_count() > 0);
        }
        observers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        observers.push((observer, mask | IoEvents::ERR | IoEvents::HUP));
        self.len.store(observers.len(), Ordering::SeqCst);
        Ok(())
    }

    /// Takes an observer out.
    pub fn unregister(&self, observer: &Weak<dyn Observer>) {
        let mut observers = self.observers.lock_irq();
        if let Some(at) = observers.iter().position(|(o, _)| Weak::ptr_eq(o, observer)) {
            observers.swap_remove(at);
        }
        self.len.store(observers.len(), Ordering::SeqCst);
    }

    /// Tells the observers of any of `events`. Call after the state has changed. Costs a load when nobody looks.
    pub fn notify(&self, events: IoEvents) {
        core::sync::atomic::fence(Ordering::SeqCst);
        if self.len.load(Ordering::SeqCst) == 0 {
            return;
        }
        let observers = self.observers.lock_irq();
        for (observer, mask) in observers.iter() {
            if mask.intersects(events)
                && let Some(observer) = observer.upgrade()
            {
                observer.on_events(events);
            }
        }
    }
}

/// A handle that wakes a waiter; what `poll`, `select` and blocking reads register.
#[derive(Debug)]
pub struct WakeObserver(pub Arc<ostd::sync::Waker>);

impl Observer for WakeObserver {
    fn on_events(&self, _events: IoEvents) {
        self.0.wake();
    }
}
