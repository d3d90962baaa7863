//! Native asynchronous I/O (io_setup(2)): contexts that keep what requests have come to until it is asked for.
//!
//! Requests are carried out as they are submitted, as Linux does with all I/O that goes through the page cache, which here all I/O does.

use crate::error::{Errno, Error, Result};
use crate::thread::wait;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::aio::io_event;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::mm::Vaddr;
use ostd::sync::{SpinLock, WaitQueue};

/// The most events that all contexts of the machine may keep (/proc/sys/fs/aio-max-nr).
pub const EVENTS_MAX: usize = 65_536;

/// Events that contexts have room for (/proc/sys/fs/aio-nr).
static EVENTS: AtomicUsize = AtomicUsize::new(0);

/// The contexts of an address space, by the address of the page that stands for each.
#[derive(Debug, Default)]
pub struct Contexts(SpinLock<BTreeMap<Vaddr, Arc<AioContext>>>);

/// A context.
#[derive(Debug)]
pub struct AioContext {
    room: usize,
    events: SpinLock<VecDeque<io_event>>,
    arrived: WaitQueue,
}

/// How many events all contexts have room for.
pub fn event_count() -> usize {
    EVENTS.load(Ordering::Relaxed)
}

impl Contexts {
    /// Adds a context.
    pub fn add(&self, address: Vaddr, context: Arc<AioContext>) {
        let old = self.0.lock().insert(address, context);
        drop(old);
    }

    /// The context at `address`.
    ///
    /// # Errors
    /// EINVAL.
    pub fn get(&self, address: Vaddr) -> Result<Arc<AioContext>> {
        self.0.lock().get(&address).cloned().ok_or(Errno::EINVAL.into())
    }

    /// Takes the context at `address` away; who waits for its events is woken, and waits in vain.
    ///
    /// # Errors
    /// EINVAL.
    pub fn remove(&self, address: Vaddr) -> Result<()> {
        let context = self.0.lock().remove(&address).ok_or(Error::new(Errno::EINVAL))?;
        context.arrived.wake_all();
        Ok(())
    }

    /// Whether there is a context at `address`.
    pub fn contains(&self, address: Vaddr) -> bool {
        self.0.lock().contains_key(&address)
    }
}

impl AioContext {
    /// With room for `room` events.
    ///
    /// # Errors
    /// EAGAIN past [`EVENTS_MAX`], ENOMEM.
    pub fn new(room: usize) -> Result<Arc<Self>> {
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let sum = |count: usize| count.checked_add(room).filter(|sum| *sum <= EVENTS_MAX);
        EVENTS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
            .map_err(|_| Error::with(Errno::EAGAIN, "too many events in contexts for asynchronous I/O"))?;
        Ok(Arc::new(Self { room, events: SpinLock::default(), arrived: WaitQueue::new() }))
    }

    /// Whether there is room for one more event.
    pub fn has_room(&self) -> bool {
        self.events.lock().len() < self.room
    }

    /// Keeps an event; submitters of one context that race may go past its room by one each.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn push(&self, event: io_event) -> Result<()> {
        let mut events = self.events.lock();
        events.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        events.push_back(event);
        drop(events);
        self.arrived.wake_all();
        Ok(())
    }

    /// Takes `max` events at most, waiting until there are `min` of them, `deadline_ns` (monotonic; 0: not at all) has passed, or `is_gone` says that
    /// the context was taken away.
    ///
    /// # Errors
    /// ERESTARTSYS on a signal, if nothing was taken.
    pub fn take(
        &self,
        min: usize,
        max: usize,
        deadline_ns: Option<u64>,
        is_gone: impl Fn() -> bool,
    ) -> Result<Vec<io_event>> {
        let mut taken = Vec::new();
        let mut collect = || {
            let mut events = self.events.lock();
            let count = events.len().min(max - taken.len());
            if taken.try_reserve(count).is_ok() {
                taken.extend(events.drain(..count));
            }
            (taken.len() >= min || is_gone()).then_some(())
        };
        let waited = match (collect(), deadline_ns) {
            (Some(()), _) | (None, Some(0)) => Ok(()),
            (None, deadline_ns) => wait::wait_until(&self.arrived, deadline_ns, collect),
        };
        match waited {
            Err(error) if error.errno() != Errno::ETIMEDOUT && taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }
}

impl Drop for AioContext {
    fn drop(&mut self) {
        EVENTS.fetch_sub(self.room, Ordering::Relaxed);
    }
}
