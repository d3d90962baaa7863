//! What a CPU does when nobody wants it: the idle task is the stack that the CPU came up on.

use super::{Task, preempt, reap, state, switch};
use crate::cpu::local;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

unsafe extern "Rust" {
    /// The kernel's main function, made by [`crate::entry`].
    safe fn __ostd_kernel_main();
}

/// Makes the boot stack the boot CPU's idle task and starts the first task, which runs the kernel's main function.
pub(crate) fn start_first() -> ! {
    adopt();
    let nothing: Arc<()> = Arc::new(());
    Task::new(reap::run, nothing.clone(), nothing.clone()).expect("memory for the second task").start();
    let first = Task::new(
        || {
            __ostd_kernel_main();
            crate::power::off(crate::power::Exit::Clean);
        },
        nothing.clone(),
        nothing,
    );
    first.expect("memory for the first task").start();
    idle()
}

/// Makes the stack of a CPU that has just come up its idle task, and idles.
pub(crate) fn enter_idle() -> ! {
    adopt();
    idle()
}

fn adopt() {
    let nothing: Arc<()> = Arc::new(());
    // The stack made here is never used: this one lives for ever. An idle task never ends, so neither is freed.
    let task = Task::new(|| (), nothing.clone(), nothing).expect("memory for an idle task");
    task.state.store(state::RUNNING, Ordering::Relaxed);
    task.is_on_cpu.store(true, Ordering::Relaxed);
    task.cpu.store(local::id().as_usize() as u32, Ordering::Relaxed);
    // Two references, neither ever given back for good: what is idle, and what is current.
    local::set_idle(Arc::into_raw(task.clone()) as usize);
    local::set_current(Arc::into_raw(task) as usize);
}

fn idle() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        reap::hurry();
        if preempt::has_work() {
            switch::schedule(false);
            // The policy may keep what it has queued to itself; interrupts must come through all the same.
            x86_64::instructions::interrupts::enable();
        } else {
            // STI holds interrupts off for one more instruction, so none can slip in before HLT.
            x86_64::instructions::interrupts::enable_and_hlt();
        }
    }
}
