//! Picking the next task and standing on its stack.

use super::scheduler::ask;
use super::{Enqueue, TICK_NS, Task, park, preempt, reap, state};
use crate::arch::user::ExtendedState;
use crate::cpu::local;
use crate::irq;
use crate::mm::VmSpace;
use crate::mm::kspace::KernelStack;
use crate::timer;
use alloc::sync::Arc;
use core::arch::naked_asm;
use core::sync::atomic::Ordering;

/// How often a policy may name a task that is not its to give before this CPU goes idle.
const PICK_TRIES: usize = 4;

/// Words that [`switch_stacks`] leaves on a stack: six registers and where to go on.
const SAVED_WORDS: usize = 7;

/// Asks the policy who runs next and switches there. Returns when the current task runs again.
///
/// # Panics
/// With preemption off: whoever holds a spin lock must not give its CPU away.
pub(super) fn schedule(has_yielded: bool) {
    assert!(
        local::preempt_count() == 0 && local::irq_depth() == 0,
        "a task switches only while nothing keeps it on its CPU"
    );
    let _off = irq::disable_local();
    local::set_need_resched(false);
    let cpu = local::id();
    let current = Task::current().expect("idle tasks are tasks too");
    let is_idle = local::current() == local::idle();
    if !is_idle {
        account(&current);
    }
    let can_go_on = !is_idle && current.state.load(Ordering::Acquire) == state::RUNNING;
    let candidate = can_go_on.then_some(&*current);
    current.has_yielded.store(has_yielded, Ordering::Relaxed);

    let mut next = None;
    for _ in 0..PICK_TRIES {
        let Some(task) = ask(|policy| policy.pick_next(cpu, candidate, has_yielded)) else { break };
        // What a policy gives must be queued, which also says that its stack is free (acquired here), and only one pick gets it: the
        // state decides, not the policy's word.
        if task
            .state
            .compare_exchange(state::QUEUED, state::RUNNING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            next = Some(task);
            break;
        }
    }
    match next {
        Some(task) => switch_to(&current, task),
        None if is_idle => {}
        None if can_go_on && !ask(|policy| policy.must_leave(cpu, &current)) => {}
        None => {
            if can_go_on {
                // The policy believes this CPU busy: the idle task asks it once more.
                local::set_need_resched(true);
            }
            let idle = local::idle() as *const Task;
            // SAFETY: each CPU's idle task lives for ever; its pointer came from `Arc::into_raw`.
            unsafe { Arc::increment_strong_count(idle) };
            // SAFETY: the reference just counted is ours.
            switch_to(&current, unsafe { Arc::from_raw(idle) });
        }
    }
}

/// Charges the current task for the time since it was picked or last charged; whether the policy wants to reconsider.
pub(super) fn account(current: &Task) -> bool {
    let now = timer::now_ns();
    let ran_ns = now.saturating_sub(current.accounted_at_ns.swap(now, Ordering::Relaxed));
    current.run_ns.fetch_add(ran_ns, Ordering::Relaxed);
    ask(|policy| policy.account(local::id(), current, ran_ns))
}

fn switch_to(current: &Task, next: Arc<Task>) {
    let is_idle = Arc::as_ptr(&next) as usize == local::idle();
    // A queued task stands nowhere (see `park` and `finish_switch`), so its stack is free.
    next.is_on_cpu.store(true, Ordering::Relaxed);
    next.cpu.store(local::id().as_usize() as u32, Ordering::Relaxed);
    let now = timer::now_ns();
    next.accounted_at_ns.store(now, Ordering::Relaxed);
    if is_idle {
        timer::set_tick(None);
    } else if local::current() == local::idle() {
        timer::set_tick(Some(now + TICK_NS));
    }
    // SAFETY: interrupts are off and `current` is current.
    unsafe { ExtendedState::save_live(current, current.context.extended.get()) };
    // SAFETY: the next task is ours to run, so nobody else changes its address space now.
    let space = unsafe { &*next.context.vm_space.get() };
    crate::mm::vm_space::switch(space.as_ref());
    // SAFETY: as above, for its stack pointer.
    let to = unsafe { *next.context.stack_pointer.get() };
    let from = current.context.stack_pointer.get();
    let current: *const Task = current;
    local::set_current(Arc::into_raw(next) as usize);
    // SAFETY: `to` is what a switch away from the next task, or `prepare_stack`, left; interrupts are off.
    let previous = unsafe { switch_stacks(from, to, current) };
    finish_switch(previous);
}

/// On the new stack: the task that ran before has left its own.
fn finish_switch(previous: *const Task) {
    // SAFETY: the pointer was this CPU's current task; its reference now belongs to us.
    let previous = unsafe { Arc::from_raw(previous) };
    let is_idle = Arc::as_ptr(&previous) as usize == local::idle();
    match previous.state.load(Ordering::Acquire) {
        state::RUNNING if !is_idle => {
            let yielded = previous.has_yielded.load(Ordering::Relaxed);
            previous.is_on_cpu.store(false, Ordering::Relaxed);
            // Last, and released: from here on a policy that kept a handle can make another CPU stand on the stack.
            previous.state.store(state::QUEUED, Ordering::Release);
            park::enqueue(previous, if yielded { Enqueue::Yielded } else { Enqueue::Preempted });
        }
        state::DEAD => {
            previous.is_on_cpu.store(false, Ordering::Release);
            // SAFETY: a dead task never runs again, and its stack has just been left.
            let stack = unsafe { &mut *previous.context.stack.get() };
            drop(stack.take());
            reap::bury(previous);
        }
        // Asleep, or woken already: the waker waits for this store.
        _ => previous.is_on_cpu.store(false, Ordering::Release),
    }
}

/// Pushes what belongs to the callee, leaves the stack pointer in `from`, takes `to` and what lies there. `current` comes out on the other
/// side, to whoever runs next.
///
/// # Safety
/// Interrupts are off, `from` is the current task's, and `to` is what this function or [`prepare_stack`] left.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch_stacks(from: *mut usize, to: usize, current: *const Task) -> *const Task {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "mov rax, rdx",
        "ret",
    )
}

/// Makes a new stack look as if [`switch_stacks`] had left it at [`first_step`]; returns its stack pointer.
pub(super) fn prepare_stack(stack: &KernelStack) -> usize {
    let pointer = stack.top() - (SAVED_WORDS + 1) * size_of::<usize>();
    let mut words = [0usize; SAVED_WORDS + 1];
    words[SAVED_WORDS - 1] = first_step as *const () as usize;
    for (index, word) in words.into_iter().enumerate() {
        let at = (pointer + index * size_of::<usize>()) as *mut usize;
        // SAFETY: the words lie at the top of a stack that nobody stands on yet.
        unsafe { at.write(word) };
    }
    pointer
}

/// Where a new task comes to life: the task that ran before is in `rax`.
///
/// # Safety
/// Only [`switch_stacks`] may come here.
#[unsafe(naked)]
unsafe extern "sysv64" fn first_step() {
    naked_asm!("mov rdi, rax", "xor ebp, ebp", "and rsp, -16", "call {run}", "ud2", run = sym run)
}

extern "sysv64" fn run(previous: *const Task) -> ! {
    finish_switch(previous);
    let current = Task::current().expect("this is one");
    // SAFETY: only the task itself takes its main function, once, here.
    let main = unsafe { &mut *current.context.main.get() }.take();
    x86_64::instructions::interrupts::enable();
    if let Some(main) = main {
        main();
    }
    exit()
}

fn exit() -> ! {
    set_current_vm_space(None);
    let off = irq::disable_local();
    {
        let current = Task::current().expect("only tasks exit");
        ExtendedState::forget(&current);
        current.state.store(state::DEAD, Ordering::Release);
    }
    schedule(false);
    drop(off);
    unreachable!("a dead task does not run")
}

/// Gives the current task an address space (or takes it away) and shows it to the hardware.
///
/// # Panics
/// In interrupt handlers, in the policy, with preemption off: the task may be in the middle of a user access.
pub(crate) fn set_current_vm_space(space: Option<Arc<VmSpace>>) {
    let current = Task::current().expect("address spaces belong to tasks");
    assert!(
        preempt::is_preemptible(),
        "an address space changes only while nothing keeps the task on its CPU"
    );
    let off = irq::disable_local();
    // SAFETY: interrupts are off, so nobody switches; the field belongs to the current task.
    let slot = unsafe { &mut *current.context.vm_space.get() };
    let old = core::mem::replace(slot, space);
    crate::mm::vm_space::switch(slot.as_ref());
    drop(off);
    // The last reference may go here: with interrupts on, for it can be long.
    drop(old);
}
