//! Who is in which group: new processes are in their parent's, others are moved.

use super::{Cgroup, HIERARCHY, cpu_share, cpuset, freezer, memory, root};
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::process::times::CpuTimes;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use ostd::sync::SpinLock;

/// What a process knows of its group.
#[derive(Debug)]
pub struct Membership(SpinLock<Seat>);

#[derive(Debug)]
struct Seat {
    cgroup: Arc<Cgroup>,
    /// Tasks counted there: threads, and the process itself until it was waited for.
    charged: usize,
    threads: usize,
    frozen_threads: usize,
    /// CPU time that it brought along.
    brought: CpuTimes,
}

/// Room for one more task in a group. Given back when it is dropped before a task has come.
#[derive(Debug)]
pub struct Reservation {
    /// Where; `None` once the task has come.
    cgroup: Option<Arc<Cgroup>>,
    /// Whether the group was named (CLONE_INTO_CGROUP), rather than being the caller's.
    is_named: bool,
}

impl Reservation {
    /// Makes room for a task of `caller`'s, in the group `into` or its own.
    ///
    /// # Errors
    /// EAGAIN past a limit; EBUSY, ENODEV if the group that was named takes no processes.
    pub fn new(caller: &Process, into: Option<Arc<Cgroup>>) -> Result<Self> {
        let is_named = into.is_some();
        if let Some(cgroup) = &into {
            let _hierarchy = HIERARCHY.lock();
            cgroup.check_may_host()?;
        }
        let cgroup = into.unwrap_or_else(|| caller.cgroup.get());
        cgroup.charge()?;
        Ok(Self { cgroup: Some(cgroup), is_named })
    }

    /// The group, for a task of `caller`'s.
    pub fn cgroup(&self, caller: &Process) -> Arc<Cgroup> {
        self.cgroup.clone().unwrap_or_else(|| caller.cgroup.get())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.uncharge(1);
        }
    }
}

impl Default for Membership {
    /// In the root, not counted: whoever is made joins next.
    fn default() -> Self {
        Self(SpinLock::new(Seat {
            cgroup: root().clone(),
            charged: 0,
            threads: 0,
            frozen_threads: 0,
            brought: CpuTimes::default(),
        }))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let seat = self.0.get_mut();
        seat.cgroup.uncharge(seat.charged);
    }
}

impl Membership {
    /// The group.
    pub fn get(&self) -> Arc<Cgroup> {
        self.0.lock().cgroup.clone()
    }

    /// `process` gets its first thread, or `caller` (then `process`) one more. Before the thread runs.
    ///
    /// # Errors
    /// EINTR if `caller` ends: whoever kills its group must not miss what it makes. ENODEV if the group that was named is gone.
    pub fn join(process: &Arc<Process>, caller: &Process, mut reservation: Reservation) -> Result<()> {
        let _hierarchy = HIERARCHY.lock();
        if caller.signals.is_exiting() {
            return Err(Errno::EINTR.into());
        }
        let is_new = !core::ptr::eq(&raw const **process, caller);
        let reserved = reservation.cgroup.as_ref().ok_or(Errno::EINVAL)?;
        // The caller may have been moved since.
        let cgroup = if reservation.is_named { reserved.clone() } else { caller.cgroup.get() };
        if reservation.is_named && cgroup.is_removed() {
            return Err(Errno::ENODEV.into());
        }
        if !Arc::ptr_eq(&cgroup, reserved) {
            cgroup.force_charge(1);
            reserved.uncharge(1);
        }
        reservation.cgroup = None;

        let was_populated = cgroup.is_populated();
        let mut seat = process.cgroup.0.lock();
        seat.cgroup = cgroup.clone();
        seat.charged += 1;
        seat.threads += 1;
        drop(seat);
        let mut state = cgroup.state.lock();
        state.threads += 1;
        let is_freezing = state.is_freezing;
        if is_new {
            state.members.insert(process.pid(), Arc::downgrade(process));
        }
        drop(state);
        if is_new {
            memory::follow(process, &cgroup);
            process.signals.set_freezing(is_freezing);
            cgroup.update_populated(was_populated);
        }
        cgroup.update_frozen();
        Ok(())
    }

    /// The first process of the machine takes its seat.
    pub fn join_root(process: &Arc<Process>) -> Result<()> {
        Self::join(process, process, Reservation::new(process, None)?)?;
        root().state.lock().members.insert(process.pid(), Arc::downgrade(process));
        Ok(())
    }

    /// A thread of `process` has left.
    pub fn thread_left(process: &Process, thread: &Thread) {
        let _hierarchy = HIERARCHY.lock();
        let mut seat = process.cgroup.0.lock();
        let was_frozen = usize::from(thread.is_frozen.swap(false, Ordering::Relaxed));
        // The first thread's count is the process's own, which stays until somebody has waited for it.
        let uncharged = usize::from(!thread.is_leader());
        seat.threads -= 1;
        seat.frozen_threads -= was_frozen;
        seat.charged -= uncharged;
        let cgroup = seat.cgroup.clone();
        drop(seat);
        cgroup.uncharge(uncharged);
        let mut state = cgroup.state.lock();
        state.threads -= 1;
        state.frozen_threads -= was_frozen;
        drop(state);
        cgroup.update_frozen();
    }

    /// A thread has taken the place of the first one (execve(2)): there is one task less.
    pub fn took_first_place(process: &Process) {
        let _hierarchy = HIERARCHY.lock();
        let mut seat = process.cgroup.0.lock();
        seat.charged -= 1;
        seat.cgroup.uncharge(1);
    }

    /// `process` has ended: it is a member no more, though it counts until it was waited for.
    pub fn ended(process: &Process) {
        let times = process.cpu_times();
        let _hierarchy = HIERARCHY.lock();
        let seat = process.cgroup.0.lock();
        let (cgroup, spent) = (seat.cgroup.clone(), times.since(seat.brought));
        drop(seat);
        let was_populated = cgroup.is_populated();
        let mut state = cgroup.state.lock();
        state.members.remove(&process.pid());
        state.past += spent;
        drop(state);
        cgroup.update_populated(was_populated);
    }

    /// Somebody has waited for `process`.
    pub fn released(process: &Process) {
        let mut seat = process.cgroup.0.lock();
        let charged = core::mem::take(&mut seat.charged);
        seat.cgroup.uncharge(charged);
    }

    /// Moves `process` to `target`.
    ///
    /// # Errors
    /// ESRCH if it has ended; EBUSY, ENODEV if `target` takes no processes.
    pub fn migrate(process: &Arc<Process>, target: &Arc<Cgroup>) -> Result<()> {
        let times = process.cpu_times();
        let _hierarchy = HIERARCHY.lock();
        target.check_may_host()?;
        let mut seat = process.cgroup.0.lock();
        let source = seat.cgroup.clone();
        if !source.state.lock().members.contains_key(&process.pid()) {
            return Err(Errno::ESRCH.into());
        }
        if Arc::ptr_eq(&source, target) {
            return Ok(());
        }
        seat.cgroup = target.clone();
        target.force_charge(seat.charged);
        source.uncharge(seat.charged);
        let (threads, frozen_threads) = (seat.threads, seat.frozen_threads);
        let spent = times.since(seat.brought);
        seat.brought = times;
        drop(seat);

        let was_populated = (source.is_populated(), target.is_populated());
        let mut state = source.state.lock();
        state.members.remove(&process.pid());
        state.threads -= threads;
        state.frozen_threads -= frozen_threads;
        state.past += spent;
        let was_freezing = state.is_freezing;
        drop(state);
        let mut state = target.state.lock();
        state.members.insert(process.pid(), Arc::downgrade(process));
        state.threads += threads;
        state.frozen_threads += frozen_threads;
        let is_freezing = state.is_freezing;
        drop(state);
        memory::follow(process, target);
        cpu_share::follow(process, target);
        cpuset::follow(process, target);
        if is_freezing != was_freezing {
            freezer::order(process, is_freezing);
        }
        // The target first: what is above both then never looks empty.
        target.update_populated(was_populated.1);
        source.update_populated(was_populated.0);
        source.update_frozen();
        target.update_frozen();
        Ok(())
    }

    /// CPU time of `process` since it came here.
    pub(super) fn cpu_times_here(&self, process: &Process) -> CpuTimes {
        let brought = self.0.lock().brought;
        process.cpu_times().since(brought)
    }

    /// A thread has come to rest or goes on; gives the group. `HIERARCHY` is held.
    pub(super) fn count_frozen(&self, is_frozen: bool) -> Arc<Cgroup> {
        let mut seat = self.0.lock();
        let cgroup = seat.cgroup.clone();
        let mut state = cgroup.state.lock();
        if is_frozen {
            seat.frozen_threads += 1;
            state.frozen_threads += 1;
        } else {
            seat.frozen_threads -= 1;
            state.frozen_threads -= 1;
        }
        drop(state);
        cgroup
    }
}
