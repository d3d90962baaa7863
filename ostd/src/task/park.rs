//! Going to sleep and being brought back.

use super::scheduler::ask;
use super::{Enqueue, Task, disable_preemption, preempt, state};
use crate::irq;
use alloc::sync::Arc;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering, fence};

/// Sleeps unless `flag` is already true; [`unpark`] ends it. May return early: callers loop.
pub(crate) fn park_unless(flag: &AtomicBool) {
    park_unless_any(&[flag]);
}

/// As [`park_unless`] for several flags.
pub(crate) fn park_unless_any(flags: &[&AtomicBool]) {
    let current = Task::current().expect("only a task can sleep");
    // Before the state changes: interrupt handlers and the policy run in the name of whatever task is current, and idle tasks must
    // never be found asleep, or another CPU would wake them and stand on their stacks.
    assert!(
        preempt::is_preemptible() && !preempt::is_idle(&current),
        "an interrupt handler, the scheduling policy or a task with preemption off tried to sleep"
    );
    let off = irq::disable_local();
    current.state.store(state::SLEEPING, Ordering::SeqCst);
    // Pairs with the fence in `unpark`: either we see the flag, or the waker sees us asleep.
    fence(Ordering::SeqCst);
    if flags.iter().any(|flag| flag.load(Ordering::SeqCst)) {
        // A waker may have been faster; then it waits for this stack to be left, and we must leave it.
        let back = current.state.compare_exchange(
            state::SLEEPING,
            state::RUNNING,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if back.is_ok() {
            return;
        }
    }
    #[cfg(target_os = "none")]
    super::switch::schedule(false);
    drop(off);
}

/// Ends a park, or prevents the next one from sleeping.
pub(crate) fn unpark(task: &Arc<Task>) {
    fence(Ordering::SeqCst);
    let is_ours = task
        .state
        .compare_exchange(state::SLEEPING, state::WOKEN, Ordering::SeqCst, Ordering::SeqCst)
        .is_ok();
    if !is_ours {
        return;
    }
    // The sleeper may still be on its way out, with interrupts off and nothing to wait for.
    while task.is_on_cpu.load(Ordering::Acquire) {
        spin_loop();
    }
    // Not before: a policy that kept a handle could name it at once.
    task.state.store(state::QUEUED, Ordering::Release);
    enqueue(task.clone(), Enqueue::Wake);
}

/// Gives a task, marked as queued and standing on no CPU, to the policy, and tells the CPU that got it.
pub(super) fn enqueue(task: Arc<Task>, why: Enqueue) {
    let _here = disable_preemption();
    let _off = irq::disable_local();
    let (cpu, reconsider) = ask(|policy| policy.enqueue(task, why));
    #[cfg(target_os = "none")]
    if reconsider {
        if cpu == crate::cpu::local::id() {
            crate::cpu::local::set_need_resched(true);
        } else {
            crate::arch::apic::send_ipi(cpu, crate::arch::apic::Ipi::Reschedule);
        }
    }
    #[cfg(not(target_os = "none"))]
    let _ = (cpu, reconsider);
}
