//! Sleeping until something is true.
//!
//! A [`Waiter`] is the sleeper's side, owned by one task; its [`Waker`] can be put into any number of queues, timers and
//! tables, and any of them may end the sleep. A wake that comes before the sleep is kept, so none is lost.

use super::SpinLock;
use crate::task::{self, Task};
use crate::timer::Timer;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The side that sleeps.
#[derive(Debug)]
pub struct Waiter {
    waker: Arc<Waker>,
    // A waiter belongs to the task that made it.
    _not_send: core::marker::PhantomData<*const ()>,
}

/// The side that wakes.
#[derive(Debug)]
pub struct Waker {
    is_woken: AtomicBool,
    task: Arc<Task>,
}

impl Waiter {
    /// A waiter for the current task.
    pub fn new() -> Self {
        let task = Task::current().expect("only a task can wait").cloned();
        Self {
            waker: Arc::new(Waker { is_woken: AtomicBool::new(false), task }),
            _not_send: core::marker::PhantomData,
        }
    }

    /// Its waker.
    pub fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    /// Sleeps until woken; takes the wake.
    pub fn wait(&self) {
        while !self.waker.is_woken.swap(false, Ordering::Acquire) {
            task::park_unless(&self.waker.is_woken);
        }
    }

    /// Sleeps until woken or until `deadline_ns` ([`crate::timer::now_ns`]); `false` if the time came first.
    pub fn wait_until(&self, deadline_ns: u64) -> bool {
        if self.waker.is_woken.swap(false, Ordering::Acquire) {
            return true;
        }
        let expired = Arc::new(AtomicBool::new(false));
        let timer = Timer::new({
            let (waker, expired) = (self.waker.clone(), expired.clone());
            move || {
                expired.store(true, Ordering::Release);
                task::unpark(&waker.task);
            }
        });
        timer.arm(deadline_ns);
        loop {
            if self.waker.is_woken.swap(false, Ordering::Acquire) {
                timer.cancel();
                return true;
            }
            if expired.load(Ordering::Acquire) {
                return false;
            }
            task::park_unless_any(&[&self.waker.is_woken, &expired]);
        }
    }
}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Waker {
    /// Ends the sleep; `false` if it was already ended and nobody has noticed yet. May be called from an interrupt.
    pub fn wake(&self) -> bool {
        if self.is_woken.swap(true, Ordering::Release) {
            return false;
        }
        task::unpark(&self.task);
        true
    }

    /// The task that sleeps.
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }
}

/// Sleepers in order of arrival. May be woken from an interrupt.
#[derive(Debug, Default)]
pub struct WaitQueue {
    // Kept beside the queue so that waking an empty one costs a load.
    len: AtomicUsize,
    wakers: SpinLock<VecDeque<Arc<Waker>>>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { len: AtomicUsize::new(0), wakers: SpinLock::new(VecDeque::new()) }
    }

    /// Sleeps until `condition` gives a value; it is asked first before sleeping and then after each wake.
    pub fn wait_until<R>(&self, mut condition: impl FnMut() -> Option<R>) -> R {
        if let Some(value) = condition() {
            return value;
        }
        let waiter = Waiter::new();
        loop {
            self.enqueue(waiter.waker().clone());
            if let Some(value) = condition() {
                self.remove(waiter.waker());
                return value;
            }
            waiter.wait();
        }
    }

    /// Adds a waker at the end; it leaves when it is woken by this queue or removed.
    pub fn enqueue(&self, waker: Arc<Waker>) {
        let mut wakers = self.wakers.lock_irq();
        wakers.push_back(waker);
        // Sequentially consistent, so that whoever changes the condition and then looks at `len` cannot miss us while
        // we miss the change.
        self.len.store(wakers.len(), Ordering::SeqCst);
    }

    /// Takes a waker out, if it is there.
    pub fn remove(&self, waker: &Arc<Waker>) {
        let mut wakers = self.wakers.lock_irq();
        wakers.retain(|w| !Arc::ptr_eq(w, waker));
        self.len.store(wakers.len(), Ordering::SeqCst);
    }

    /// Wakes the first sleeper that is not yet awake; `false` if there is none.
    pub fn wake_one(&self) -> bool {
        loop {
            match self.pop() {
                None => return false,
                Some(waker) if waker.wake() => return true,
                Some(_) => {}
            }
        }
    }

    /// Wakes all; returns how many slept.
    pub fn wake_all(&self) -> usize {
        let mut woken = 0;
        // Those who come back at once must not be woken twice: only the ones here now.
        let mut left = if self.is_empty() { 0 } else { self.wakers.lock_irq().len() };
        while left > 0 {
            let Some(waker) = self.pop() else { break };
            woken += usize::from(waker.wake());
            left -= 1;
        }
        woken
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        core::sync::atomic::fence(Ordering::SeqCst);
        self.len.load(Ordering::SeqCst) == 0
    }

    fn pop(&self) -> Option<Arc<Waker>> {
        if self.is_empty() {
            return None;
        }
        let mut wakers = self.wakers.lock_irq();
        let waker = wakers.pop_front();
        self.len.store(wakers.len(), Ordering::SeqCst);
        waker
    }
}
