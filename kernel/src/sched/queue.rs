//! One CPU's queue, and what runs there.

use super::entity::{self, Policy};
use alloc::sync::Arc;
use coffer_run_queue::{Rank, RunQueue};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use ostd::task::{Enqueue, Task};

/// How far behind a task may start that slept: it runs soon, but cannot save up time to keep others out.
const SLEEPER_CREDIT_NS: u64 = 3_000_000;
/// How far ahead of a waking task the running one must be to be set aside for it.
const WAKE_GRANULARITY_NS: u64 = 1_000_000;
/// The least that a task runs before another of its kind gets its turn.
const MIN_SLICE_NS: u64 = 3_000_000;
/// A round-robin turn (sched_rr_get_interval(2)).
pub const ROUND_ROBIN_NS: u64 = 100_000_000;

/// Runnable tasks of a CPU. Callers have interrupts off.
#[derive(Debug, Default)]
pub(super) struct CpuQueue {
    inner: SpinLock<Inner>,
    /// Beside the lock, for others to look at.
    len: AtomicUsize,
    floor: AtomicU64,
    busy_ns: AtomicU64,
    switches: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: RunQueue<Arc<Task>>,
    running: Option<Running>,
}

/// What runs, as of when it was picked or last accounted.
#[derive(Clone, Copy, Debug)]
struct Running {
    rank: Rank,
    policy: Policy,
}

impl Running {
    fn new(task: &Task) -> Self {
        match entity::of(task) {
            Some(entity) => Self { rank: entity.rank(), policy: entity.policy() },
            None => Self { rank: Rank::Fair(0), policy: Policy::Other },
        }
    }
}

impl CpuQueue {
    /// How many tasks wait.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Adds to the time that tasks have run here. Only this CPU does.
    pub fn charge(&self, ran_ns: u64) {
        self.busy_ns.store(self.busy_ns.load(Ordering::Relaxed) + ran_ns, Ordering::Relaxed);
    }

    /// Nanoseconds that tasks have run here.
    pub fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Ordering::Relaxed)
    }

    /// Counts a pick that changed who runs. Only this CPU does.
    pub fn count_switch(&self, has_switched: bool) {
        let switches = self.switches.load(Ordering::Relaxed) + u64::from(has_switched);
        self.switches.store(switches, Ordering::Relaxed);
    }

    /// How often another task was picked here.
    pub fn switches(&self) -> u64 {
        self.switches.load(Ordering::Relaxed)
    }

    /// Whether a task runs.
    pub fn is_busy(&self) -> bool {
        self.inner.lock().running.is_some()
    }

    /// Where virtual time stands here.
    pub fn floor(&self) -> u64 {
        self.floor.load(Ordering::Relaxed)
    }

    /// Adds a task whose virtual time counts from `old_floor`; whether the CPU ought to reconsider.
    pub fn enqueue(&self, task: Arc<Task>, why: Enqueue, old_floor: u64) -> bool {
        let mut inner = self.inner.lock();
        let floor = inner.waiting.floor();
        let (rank, policy, goes_first) = match entity::of(&task) {
            None => (Rank::Fair(floor), Policy::Other, false),
            Some(entity) => {
                entity.set_virtual_ns(rebase(entity.virtual_ns(), old_floor, floor, why));
                let goes_first = why == Enqueue::Preempted && !entity.take_turn_end();
                (entity.rank(), entity.policy(), goes_first)
            }
        };
        inner.waiting.push(rank, task, goes_first);
        self.publish(&inner);
        let is_new_here = matches!(why, Enqueue::Wake | Enqueue::New);
        inner.running.is_none_or(|running| preempts(rank, policy, running, is_new_here))
    }

    /// Takes the next task if it goes before `current`, or any at all when `current` has to give way.
    pub fn pick(&self, current: Option<&Task>, gives_way: bool) -> Option<Arc<Task>> {
        let mut inner = self.inner.lock();
        let running = current.map(Running::new);
        let goes_on = match (running.map(|running| running.rank), inner.waiting.peek()) {
            (Some(_), None) => true,
            (None, _) => false,
            (Some(mine), Some(next)) if gives_way => {
                // A yield is to equals: real-time tasks do not give way to lower ones.
                matches!((mine, next), (Rank::RealTime(mine), Rank::RealTime(next)) if mine > next)
                    || matches!((mine, next), (Rank::RealTime(_), Rank::Fair(_)))
            }
            (Some(mine), Some(next)) => !goes_before(next, mine, current),
        };
        let next = if goes_on { None } else { inner.waiting.pop() };
        inner.running = match &next {
            Some(task) => {
                begin_slice(task);
                Some(Running::new(task))
            }
            None => running,
        };
        self.publish(&inner);
        next
    }

    /// `task` came from elsewhere and runs here now.
    pub fn note_picked(&self, task: &Task) {
        begin_slice(task);
        self.inner.lock().running = Some(Running::new(task));
    }

    /// Takes a task for another CPU; its virtual time then counts from 0.
    pub fn give(&self, may_go: impl Fn(&Task) -> bool) -> Option<Arc<Task>> {
        let mut inner = self.inner.lock();
        let task = inner.waiting.steal(|task| may_go(task))?;
        self.publish(&inner);
        Some(task)
    }

    /// Books what `current` ran; whether to reconsider.
    pub fn account(&self, current: &Task, ran_ns: u64) -> bool {
        let Some(entity) = entity::of(current) else { return self.len() > 0 };
        let slice_ns = entity.charge(ran_ns);
        let mut inner = self.inner.lock();
        let mine = entity.rank();
        inner.running = Some(Running { rank: mine, policy: entity.policy() });
        let fair = if let Rank::Fair(virtual_ns) = mine { Some(virtual_ns) } else { None };
        inner.waiting.raise_floor(fair);
        self.publish(&inner);
        match (mine, inner.waiting.peek()) {
            (_, None) => false,
            (Rank::RealTime(mine), Some(Rank::RealTime(next))) => {
                let turn_ends = entity.policy() == Policy::RoundRobin && slice_ns >= ROUND_ROBIN_NS;
                if turn_ends {
                    entity.end_turn();
                }
                next > mine || next == mine && turn_ends
            }
            (Rank::RealTime(_), Some(Rank::Fair(_))) => false,
            (Rank::Fair(_), Some(Rank::RealTime(_))) => true,
            (Rank::Fair(mine), Some(Rank::Fair(next))) => slice_ns >= MIN_SLICE_NS && next < mine,
        }
    }

    fn publish(&self, inner: &Inner) {
        self.len.store(inner.waiting.len(), Ordering::Relaxed);
        self.floor.store(inner.waiting.floor(), Ordering::Relaxed);
    }
}

fn begin_slice(task: &Task) {
    if let Some(entity) = entity::of(task)
        && entity.policy() != Policy::RoundRobin
    {
        entity.begin_slice();
    }
}

/// A task's virtual time on a queue at `floor`, when it was `virtual_ns` on one at `old_floor`.
fn rebase(virtual_ns: u64, old_floor: u64, floor: u64, why: Enqueue) -> u64 {
    match why {
        // A new task waits for its turn once, so that forking does not gain time.
        Enqueue::New => floor.saturating_add(MIN_SLICE_NS),
        Enqueue::Wake => {
            // As far ahead or behind as it was, within the credit.
            let ahead = virtual_ns.saturating_sub(old_floor);
            let behind = old_floor.saturating_sub(virtual_ns).min(SLEEPER_CREDIT_NS);
            floor.saturating_add(ahead).saturating_sub(behind)
        }
        Enqueue::Preempted | Enqueue::Yielded if old_floor == floor => virtual_ns,
        Enqueue::Preempted | Enqueue::Yielded => floor.saturating_add(virtual_ns.saturating_sub(old_floor)),
    }
}

/// Whether a task that became runnable sets aside what runs.
fn preempts(rank: Rank, policy: Policy, running: Running, is_new_here: bool) -> bool {
    match (rank, running.rank) {
        (Rank::RealTime(new), Rank::RealTime(old)) => new > old,
        (Rank::RealTime(_), Rank::Fair(_)) => true,
        (Rank::Fair(_), Rank::RealTime(_)) => false,
        (Rank::Fair(_), Rank::Fair(_)) if policy == Policy::Idle => false,
        (Rank::Fair(_), Rank::Fair(_)) if running.policy == Policy::Idle => true,
        (Rank::Fair(new), Rank::Fair(old)) => {
            is_new_here && policy != Policy::Batch && new.saturating_add(WAKE_GRANULARITY_NS) < old
        }
    }
}

/// Whether what waits goes before what could go on.
fn goes_before(next: Rank, mine: Rank, current: Option<&Task>) -> bool {
    match (next, mine) {
        (Rank::RealTime(next), Rank::RealTime(mine)) => {
            next > mine
                || next == mine && current.and_then(entity::of).is_some_and(entity::Entity::has_ended_turn)
        }
        (Rank::RealTime(_), Rank::Fair(_)) => true,
        (Rank::Fair(_), Rank::RealTime(_)) => false,
        (Rank::Fair(next), Rank::Fair(mine)) => next < mine,
    }
}
