//! What the policy keeps for a task.

use super::share::Share;
use alloc::sync::Arc;
use coffer_run_queue::{IDLE_WEIGHT, Rank, virtual_ns, weight};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU32, AtomicU64, Ordering};
use ostd::sync::SpinLock;
use ostd::task::Task;

/// Scheduling policies (sched(7)), by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Policy {
    /// SCHED_OTHER.
    Other = 0,
    /// SCHED_FIFO.
    Fifo = 1,
    /// SCHED_RR.
    RoundRobin = 2,
    /// SCHED_BATCH: as OTHER, but never takes the CPU from others when it wakes.
    Batch = 3,
    /// SCHED_IDLE: what is left over.
    Idle = 5,
}

/// Policy, priority, nice value, affinity and virtual time of a task. Changes take effect when the task is next queued or accounted.
#[derive(Debug)]
pub struct Entity {
    policy: AtomicU32,
    priority: AtomicU32,
    nice: AtomicI32,
    /// What ioprio_set(2) has set.
    io_priority: AtomicU16,
    /// CPUs that it wants to run on, by bit.
    affinity: AtomicU64,
    /// CPUs that its control group has, by bit.
    allowed: AtomicU64,
    /// SCHED_RESET_ON_FORK.
    reset_on_fork: AtomicBool,
    virtual_ns: AtomicU64,
    /// Time run since it was picked, or since its round-robin turn began.
    slice_ns: AtomicU64,
    /// Its round-robin turn is over: to the end of the list.
    turn_is_over: AtomicBool,
    /// Whether there is a `share`: a load for those in the root group.
    has_share: AtomicBool,
    /// Its control group's. Taken with interrupts off.
    share: SpinLock<Option<Arc<Share>>>,
    /// When it was last seen running there.
    window: AtomicU64,
}

impl Policy {
    /// By number, without SCHED_RESET_ON_FORK.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Other,
            1 => Self::Fifo,
            2 => Self::RoundRobin,
            3 => Self::Batch,
            5 => Self::Idle,
            _ => return None,
        })
    }

    /// FIFO or RR.
    pub fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin)
    }
}

/// The policy's data of a task; `None` for the kernel's own first task.
pub fn of(task: &Task) -> Option<&Entity> {
    task.policy().downcast_ref()
}

/// The policy's data for a new task: a child of the current one (sched(7), nice(2): inherited), or with default values for a task of the
/// kernel's own.
pub fn start_values(is_child: bool) -> Arc<dyn Any + Send + Sync> {
    let parent = Task::current();
    let inherited = parent.as_deref().filter(|_| is_child).and_then(of).map(Entity::for_child);
    Arc::new(inherited.unwrap_or_default())
}

impl Default for Entity {
    fn default() -> Self {
        Self {
            policy: AtomicU32::new(Policy::Other as u32),
            priority: AtomicU32::new(0),
            nice: AtomicI32::new(0),
            io_priority: AtomicU16::new(0),
            affinity: AtomicU64::new(u64::MAX),
            allowed: AtomicU64::new(u64::MAX),
            reset_on_fork: AtomicBool::new(false),
            virtual_ns: AtomicU64::new(0),
            slice_ns: AtomicU64::new(0),
            turn_is_over: AtomicBool::new(false),
            has_share: AtomicBool::new(false),
            share: SpinLock::new(None),
            window: AtomicU64::new(0),
        }
    }
}

impl Entity {
    fn for_child(&self) -> Self {
        let child = Self::default();
        child.set_io_priority(self.io_priority());
        child.affinity.store(self.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
        child.set_allowed(self.allowed());
        child.set_share(self.share());
        child.virtual_ns.store(self.virtual_ns(), Ordering::Relaxed);
        if self.reset_on_fork() {
            let nice = if self.policy().is_real_time() { 0 } else { self.nice().max(0) };
            child.nice.store(nice, Ordering::Relaxed);
        } else {
            child.set_policy(self.policy(), self.priority());
            child.nice.store(self.nice(), Ordering::Relaxed);
        }
        child
    }

    /// Its policy.
    pub fn policy(&self) -> Policy {
        Policy::from_number(self.policy.load(Ordering::Relaxed)).unwrap_or(Policy::Other)
    }

    /// 1..=99 for real-time policies, else 0.
    pub fn priority(&self) -> u8 {
        self.priority.load(Ordering::Relaxed) as u8
    }

    /// Sets both.
    pub fn set_policy(&self, policy: Policy, priority: u8) {
        self.policy.store(policy as u32, Ordering::Relaxed);
        self.priority.store(u32::from(priority), Ordering::Relaxed);
    }

    /// −20 (most) to 19.
    pub fn nice(&self) -> i32 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Sets it, cut to the range.
    pub fn set_nice(&self, nice: i32) {
        self.nice.store(nice.clamp(-20, 19), Ordering::Relaxed);
    }

    /// Class and level for transfers of disks, as ioprio_set(2) puts them together; 0: none.
    pub fn io_priority(&self) -> u16 {
        self.io_priority.load(Ordering::Relaxed)
    }

    /// Sets it. Disks serve requests as they come, whatever it is.
    pub fn set_io_priority(&self, priority: u16) {
        self.io_priority.store(priority, Ordering::Relaxed);
    }

    /// CPUs that it may run on: of those that its control group has, the ones that it wants, or all if it wants none of them.
    pub fn affinity(&self) -> u64 {
        let allowed = self.allowed();
        match self.affinity.load(Ordering::Relaxed) & allowed {
            0 => allowed,
            both => both,
        }
    }

    /// CPUs that its control group has.
    pub fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Sets them; never none.
    pub fn set_allowed(&self, cpus: u64) {
        self.allowed.store(cpus, Ordering::Relaxed);
    }

    /// Sets them; never none.
    pub fn set_affinity(&self, cpus: u64) {
        self.affinity.store(cpus, Ordering::Relaxed);
    }

    /// SCHED_RESET_ON_FORK.
    pub fn reset_on_fork(&self) -> bool {
        self.reset_on_fork.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_reset_on_fork(&self, reset: bool) {
        self.reset_on_fork.store(reset, Ordering::Relaxed);
    }

    /// Its control group's share; `None` in the root group.
    pub fn share(&self) -> Option<Arc<Share>> {
        if self.has_share.load(Ordering::Relaxed) { self.share.lock_irq().clone() } else { None }
    }

    /// Gives it another.
    pub fn set_share(&self, share: Option<Arc<Share>>) {
        let has_share = share.is_some();
        let old = core::mem::replace(&mut *self.share.lock_irq(), share);
        self.has_share.store(has_share, Ordering::Relaxed);
        drop(old);
    }

    /// Books `ran_ns` in its control group; `true` if it has to stop for now. Interrupts are off.
    pub(super) fn charge_group(&self, ran_ns: u64) -> bool {
        self.has_share.load(Ordering::Relaxed)
            && self.share.lock().as_ref().is_some_and(|share| share.charge(ran_ns))
    }

    /// What its weight comes to in its control group.
    fn weigh(&self, weight: u64) -> u64 {
        if !self.has_share.load(Ordering::Relaxed) {
            return weight;
        }
        self.share.lock().as_ref().map_or(weight, |share| share.weigh(weight, &self.window).max(1))
    }

    pub(super) fn rank(&self) -> Rank {
        if self.policy().is_real_time() {
            Rank::RealTime(self.priority())
        } else {
            Rank::Fair(self.virtual_ns())
        }
    }

    pub(super) fn virtual_ns(&self) -> u64 {
        self.virtual_ns.load(Ordering::Relaxed)
    }

    pub(super) fn set_virtual_ns(&self, virtual_ns: u64) {
        self.virtual_ns.store(virtual_ns, Ordering::Relaxed);
    }

    /// Books `ran_ns`; returns the time run in this slice.
    pub(super) fn charge(&self, ran_ns: u64) -> u64 {
        let weight = match self.policy() {
            Policy::Idle => IDLE_WEIGHT,
            _ => weight(self.nice()),
        };
        let weight = self.weigh(weight);
        // Only the CPU that runs the task writes these.
        self.set_virtual_ns(self.virtual_ns().wrapping_add(virtual_ns(ran_ns, weight)));
        let slice = self.slice_ns.load(Ordering::Relaxed) + ran_ns;
        self.slice_ns.store(slice, Ordering::Relaxed);
        slice
    }

    pub(super) fn begin_slice(&self) {
        self.slice_ns.store(0, Ordering::Relaxed);
    }

    /// Ends the round-robin turn.
    pub(super) fn end_turn(&self) {
        self.turn_is_over.store(true, Ordering::Relaxed);
        self.begin_slice();
    }

    /// Whether the turn has ended.
    pub(super) fn has_ended_turn(&self) -> bool {
        self.turn_is_over.load(Ordering::Relaxed)
    }

    /// Whether the turn had ended; begins a new one.
    pub(super) fn take_turn_end(&self) -> bool {
        self.turn_is_over.swap(false, Ordering::Relaxed)
    }
}
