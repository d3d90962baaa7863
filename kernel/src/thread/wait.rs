//! Sleeps of user threads: interruptible by signals, with an optional deadline. Everything that blocks in a system call goes through here.

use super::Thread;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Observer, Pollee, WakeObserver};
use alloc::sync::{Arc, Weak};
use ostd::sync::{WaitQueue, Waiter};

/// Sleeps on `queue` until `condition` gives a value.
///
/// # Errors
/// ERESTARTSYS on a signal (callers map it where the man page says otherwise), ETIMEDOUT when `deadline_ns` (monotonic) has passed.
pub fn wait_until<R>(
    queue: &WaitQueue,
    deadline_ns: Option<u64>,
    mut condition: impl FnMut() -> Option<R>,
) -> Result<R> {
    if let Some(value) = condition() {
        return Ok(value);
    }
    sleep_loop(
        deadline_ns,
        |waiter| queue.enqueue(waiter.waker().clone()),
        |waiter| queue.remove(waiter.waker()),
        condition,
    )
}

/// Sleeps until `condition` gives a value, asking again whenever `pollee` reports any of `events`.
///
/// # Errors
/// As [`wait_until`].
pub fn wait_for_events<R>(
    pollee: &Pollee,
    events: IoEvents,
    deadline_ns: Option<u64>,
    mut condition: impl FnMut() -> Option<R>,
) -> Result<R> {
    if let Some(value) = condition() {
        return Ok(value);
    }
    let observer: core::cell::OnceCell<Arc<dyn Observer>> = core::cell::OnceCell::new();
    let is_placed = core::cell::Cell::new(true);
    let result = sleep_loop(
        deadline_ns,
        |waiter| {
            if observer.get().is_none() {
                let new: Arc<dyn Observer> = Arc::new(WakeObserver(waiter.waker().clone()));
                is_placed.set(pollee.register(Arc::downgrade(&new), events).is_ok());
                let _ = observer.set(new);
            }
        },
        |_| {},
        || match condition() {
            None if !is_placed.get() => Some(Err(Errno::ENOMEM.into())),
            found => found.map(Ok),
        },
    );
    if let Some(observer) = observer.get() {
        pollee.unregister(&(Arc::downgrade(observer) as Weak<dyn Observer>));
    }
    result?
}

/// Sleeps until `deadline_ns` or a signal; `Ok` when the time has come.
///
/// # Errors
/// ERESTARTSYS on a signal.
pub fn sleep_until(deadline_ns: u64) -> Result<()> {
    match sleep_loop(Some(deadline_ns), |_| {}, |_| {}, || None::<()>) {
        Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Sleeps until `condition` gives a value. `arm` is called before each look at it and sees to it that the waiter's waker is called when
/// there is something to look at; `disarm` takes that back.
///
/// # Errors
/// As [`wait_until`].
pub fn sleep_loop<R>(
    deadline_ns: Option<u64>,
    mut arm: impl FnMut(&Waiter),
    mut disarm: impl FnMut(&Waiter),
    mut condition: impl FnMut() -> Option<R>,
) -> Result<R> {
    let thread = Thread::current();
    let waiter = Waiter::new();
    let _interruptible = thread.as_ref().map(|thread| thread.wake_on_signal(waiter.waker().clone()));
    loop {
        arm(&waiter);
        if let Some(value) = condition() {
            disarm(&waiter);
            return Ok(value);
        }
        if thread.as_ref().is_some_and(|thread| thread.has_pending_signal()) {
            disarm(&waiter);
            return Err(Errno::ERESTARTSYS.into());
        }
        let in_time = match deadline_ns {
            None => {
                waiter.wait();
                true
            }
            Some(deadline_ns) => waiter.wait_until(deadline_ns),
        };
        if !in_time {
            disarm(&waiter);
            // The condition may have come true at the last moment.
            return condition().ok_or(Errno::ETIMEDOUT.into());
        }
    }
}
