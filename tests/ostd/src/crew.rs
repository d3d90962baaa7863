//! Several tasks at a time, and waiting for all of them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ostd::sync::{SpinLock, WaitQueue, Waiter};
use ostd::task::{self, Task};
use ostd::timer;

use crate::Outcome;
use crate::policy::Place;

/// A crew that takes longer than this hangs: emulated machines are slow, but not that slow.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Tasks that report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crew(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    working: AtomicUsize,
    stop: AtomicBool,
    failure: SpinLock<Option<String>>,
    ended: WaitQueue,
}

impl Crew {
    /// Starts one more.
    pub(crate) fn start(
        &self,
        place: Place,
        work: impl FnOnce(&Crew) -> Outcome + Send + 'static,
    ) -> Outcome {
        self.start_with(place, Arc::new(()), work)
    }

    /// Starts one with data of its own.
    pub(crate) fn start_with(
        &self,
        place: Place,
        data: Arc<dyn Any + Send + Sync>,
        work: impl FnOnce(&Crew) -> Outcome + Send + 'static,
    ) -> Outcome {
        let crew = self.clone();
        crew.0.working.fetch_add(1, Ordering::SeqCst);
        let main = move || {
            if let Err(why) = work(&crew) {
                crew.0.failure.lock().get_or_insert(why);
                crew.0.stop.store(true, Ordering::SeqCst);
            }
            if crew.0.working.fetch_sub(1, Ordering::SeqCst) == 1 {
                crew.0.ended.wake_all();
            }
        };
        let task = Task::new(main, data, Arc::new(place)).map_err(|e| format!("no task: {e:?}"))?;
        task.start();
        Ok(())
    }

    /// Whether it is time to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stop.load(Ordering::SeqCst)
    }

    /// Tells all to stop.
    pub(crate) fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }

    /// Waits until all have ended; the first failure.
    pub(crate) fn join(&self) -> Outcome {
        let deadline = timer::now_ns() + PATIENCE_NS;
        let waiter = Waiter::new();
        while self.0.working.load(Ordering::SeqCst) > 0 {
            self.0.ended.enqueue(waiter.waker().clone());
            if self.0.working.load(Ordering::SeqCst) > 0 && !waiter.wait_until(deadline) {
                self.stop();
                return Err(format!("{} tasks hang", self.0.working.load(Ordering::SeqCst)));
            }
        }
        let failure = self.0.failure.lock().take();
        failure.map_or(Ok(()), Err)
    }
}

/// Gives way until a condition holds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Outcome {
    let deadline = timer::now_ns() + PATIENCE_NS;
    while !condition() {
        if timer::now_ns() > deadline {
            return Err(format!("still waiting for {what}"));
        }
        task::yield_now();
    }
    Ok(())
}

/// Sleeps.
pub(crate) fn sleep_ns(ns: u64) {
    let _ = Waiter::new().wait_until(timer::now_ns() + ns);
}

/// Pseudo-random numbers (xorshift), the same each time.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `end`.
    pub(crate) fn roll(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize % end
    }
}
