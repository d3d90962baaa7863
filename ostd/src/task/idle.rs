//! What a CPU does when nobody wants it: the idle task, on a stack of its own with a guard below, which the boot stack lacks.

use super::{Task, preempt, reap, state, switch};
use crate::cpu::local;
use crate::mm::kspace::KernelStack;
use crate::tdx;
use alloc::sync::Arc;
use core::arch::asm;
use core::sync::atomic::Ordering;

unsafe extern "Rust" {
    /// The kernel's main function, made by [`crate::entry`].
    safe fn __ostd_kernel_main();
}

/// Starts the first task, which runs the kernel's main function, and makes the boot CPU idle.
pub(crate) fn start_first() -> ! {
    let stack_top = adopt();
    let nothing: Arc<()> = Arc::new(());
    Task::new(reap::run, nothing.clone(), nothing.clone()).expect("memory for the second task").start();
    let first = Task::new(__ostd_kernel_main, nothing.clone(), nothing);
    first.expect("memory for the first task").start();
    idle_on(stack_top)
}

/// Makes a CPU that has just come up idle.
pub(crate) fn enter_idle() -> ! {
    idle_on(adopt())
}

/// Leaves the present stack for good.
fn idle_on(stack_top: usize) -> ! {
    // SAFETY: the top of the idle task's own stack, which nobody stands on and which is never freed; zero in `rbp` ends backtraces.
    unsafe {
        asm!("mov rsp, {}", "xor ebp, ebp", "call {}", "ud2", in(reg) stack_top, sym idle, options(noreturn));
    }
}

/// Makes this CPU's idle task; gives the top of its stack.
fn adopt() -> usize {
    let nothing: Arc<()> = Arc::new(());
    // An idle task never ends, so its stack is never freed.
    let task = Task::new(|| (), nothing.clone(), nothing).expect("memory for an idle task");
    task.state.store(state::RUNNING, Ordering::Relaxed);
    task.is_on_cpu.store(true, Ordering::Relaxed);
    task.cpu.store(local::id().as_usize() as u32, Ordering::Relaxed);
    // SAFETY: nobody else knows the task yet.
    let stack = unsafe { &*task.context.stack.get() };
    let stack_top = stack.as_ref().map_or(0, KernelStack::top);
    // Two references, neither ever given back for good: what is idle, and what is current.
    local::set_idle(Arc::into_raw(task.clone()) as usize);
    local::set_current(Arc::into_raw(task) as usize);
    stack_top
}

/// Turns interrupts on and waits for one.
fn wait() {
    if tdx::is_active() {
        tdx::host::enable_and_halt();
    } else {
        // STI holds interrupts off for one more instruction, so none can slip in before HLT.
        x86_64::instructions::interrupts::enable_and_hlt();
    }
}

extern "sysv64" fn idle() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        reap::hurry();
        if preempt::has_work() {
            switch::schedule(false);
            // The policy may keep what it has queued to itself; interrupts must come through all the same.
            x86_64::instructions::interrupts::enable();
        } else {
            wait();
        }
    }
}
