//! Accepting a trust domain's memory ahead of need: a task of the kernel's, for when nobody else wants the CPU.

use crate::error::Result;
use crate::sched;
use alloc::sync::Arc;
use ostd::sync::Waiter;
use ostd::task::Task;
use ostd::timer::now_ns;

/// Boot and the first container come first.
const HEAD_START_NS: u64 = 3_000_000_000;
/// Between two large pages: an idle CPU is one that a host runs others on, and a TD's acceptance is the host's work as well.
const PAUSE_NS: u64 = 1_000_000;

/// Starts the task, where there is anything to accept.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<()> {
    if ostd::tdx::is_active() {
        let policy = sched::start_values(false);
        if let Some(entity) = policy.downcast_ref::<sched::Entity>() {
            entity.set_policy(sched::Policy::Idle, 0);
        }
        Task::new(accept_all, Arc::new(()), policy)?.start();
    }
    Ok(())
}

fn accept_all() {
    let waiter = Waiter::new();
    waiter.wait_until(now_ns().saturating_add(HEAD_START_NS));
    while ostd::mm::accept_some() {
        waiter.wait_until(now_ns().saturating_add(PAUSE_NS));
    }
}
