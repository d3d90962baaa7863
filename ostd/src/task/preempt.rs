//! Keeping the current task on its CPU, and taking it off where nothing keeps it.

use core::marker::PhantomData;

use super::Task;
#[cfg(target_os = "none")]
use super::{TICK_NS, scheduler::ask, switch};
#[cfg(target_os = "none")]
use crate::cpu::local;
#[cfg(target_os = "none")]
use crate::mm::kspace::scatter;
#[cfg(target_os = "none")]
use core::sync::atomic::Ordering;

/// Preemption is off on this CPU while it lives.
#[derive(Debug)]
pub struct PreemptGuard {
    _not_send: PhantomData<*const ()>,
}

/// Turns preemption off; guards nest.
#[inline]
pub fn disable_preemption() -> PreemptGuard {
    #[cfg(target_os = "none")]
    local::preempt_off();
    PreemptGuard { _not_send: PhantomData }
}

impl Drop for PreemptGuard {
    #[inline]
    fn drop(&mut self) {
        #[cfg(target_os = "none")]
        if local::preempt_on() && local::need_resched() {
            reconsider();
        }
    }
}

/// Whether nothing keeps the current task on its CPU: no guard and no interrupt handler.
pub(super) fn is_preemptible() -> bool {
    #[cfg(target_os = "none")]
    return local::preempt_count() == 0 && local::irq_depth() == 0;
    #[cfg(not(target_os = "none"))]
    true
}

/// Whether the current task may sleep here: [`is_preemptible`], and interrupts are on.
#[cfg(target_os = "none")]
pub(super) fn can_sleep() -> bool {
    is_preemptible() && x86_64::instructions::interrupts::are_enabled()
}

/// Whether `current` is this CPU's idle task.
pub(super) fn is_idle(current: &Task) -> bool {
    #[cfg(target_os = "none")]
    return core::ptr::from_ref(current) as usize == local::idle();
    #[cfg(not(target_os = "none"))]
    {
        let _ = current;
        false
    }
}

/// The last guard went while somebody wanted this CPU: switch, unless interrupts are off (then whoever turned them off is not done,
/// and the next guard, tick or way out of the kernel will see to it).
#[cfg(target_os = "none")]
#[cold]
fn reconsider() {
    if x86_64::instructions::interrupts::are_enabled() && local::irq_depth() == 0 && local::current() != 0 {
        switch::schedule(false);
    }
}

/// The outermost interrupt out of ring 0 is done; interrupts are off.
#[cfg(target_os = "none")]
pub(crate) fn on_interrupt_exit() {
    if local::preempt_count() == 0 && local::irq_depth() == 0 && local::current() != 0 {
        recycle_addresses();
        if local::need_resched() {
            switch::schedule(false);
        }
    }
}

/// Does the heap's housekeeping that waits for other CPUs: nobody who gets here holds a lock.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn recycle_addresses() {
    if scatter::wants_recycling() {
        scatter::recycle();
    }
}

/// Another CPU gave this one something to reconsider.
#[cfg(target_os = "none")]
pub(crate) fn on_reschedule_ipi() {
    local::set_need_resched(true);
}

/// The scheduling tick, in interrupt context.
#[cfg(target_os = "none")]
pub(crate) fn on_tick() {
    if local::current() == 0 || local::current() == local::idle() {
        return;
    }
    let current = Task::current().expect("asked above");
    let ticks = if local::irq_from_user() { &current.user_ticks } else { &current.kernel_ticks };
    ticks.fetch_add(1, Ordering::Relaxed);
    if switch::account(&current) {
        local::set_need_resched(true);
    }
    crate::timer::set_tick(Some(crate::timer::now_ns() + TICK_NS));
}

/// See [`Task::kick`].
#[cfg(target_os = "none")]
pub(super) fn kick(task: &Task) {
    let pinned = disable_preemption();
    let cpu = task.cpu();
    // On this CPU it is not in ring 3, and anywhere else an interrupt is enough.
    if task.is_running() && cpu != crate::cpu::current(&pinned) {
        crate::arch::apic::send_ipi(cpu, crate::arch::apic::Ipi::Reschedule);
    }
}

/// Whether the policy has something waiting for this CPU.
#[cfg(target_os = "none")]
pub(super) fn has_work() -> bool {
    local::need_resched() || ask(|policy| policy.queued(local::id())) > 0
}
