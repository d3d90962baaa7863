//! What must end the machine with a clear message, one boot each; the runner knows the words.

use alloc::sync::Arc;

use ostd::mm::{PageFlags, VmSpace};
use ostd::sync::{Mutex, SpinLock, Waiter};
use ostd::timer::{self, Timer};
use ostd::{irq, task};

use crate::spaces::{at_start, with_program};
use crate::{Outcome, code};

crate::cases!("dies":
    sleeping_in_a_handler,
    sleeping_under_a_spin_lock,
    changing_spaces_in_a_handler,
    ring3_in_a_handler,
    ring3_with_interrupts_off,
    ring3_under_a_guard,
    changing_spaces_under_a_cursor,
    overflowing_a_stack,
    overflowing_an_idle_stack,
    running_out_of_heap,
);

/// Runs something in a timer's callback.
fn in_handler(work: impl Fn() + Send + Sync + 'static) -> Outcome {
    Timer::new(work).arm(0);
    let end = timer::now_ns() + 3_000_000_000;
    while timer::now_ns() < end {
        task::yield_now();
    }
    Err("the kernel lives".into())
}

fn sleeping_in_a_handler() -> Outcome {
    in_handler(|| Waiter::new().wait())
}

fn sleeping_under_a_spin_lock() -> Outcome {
    let (lock, mutex) = (SpinLock::new(()), Mutex::new(()));
    let _mutex = mutex.lock();
    let _spinning = lock.lock();
    drop(mutex.lock());
    Err("the kernel lives".into())
}

fn changing_spaces_in_a_handler() -> Outcome {
    in_handler(VmSpace::deactivate_current)
}

fn ring3_in_a_handler() -> Outcome {
    with_program(code::CALL)?.activate();
    in_handler(|| {
        let _ = at_start().execute();
    })
}

fn ring3_with_interrupts_off() -> Outcome {
    with_program(code::CALL)?.activate();
    let _off = irq::disable_local();
    let reason = at_start().execute();
    Err(alloc::format!("{reason:?}"))
}

fn ring3_under_a_guard() -> Outcome {
    with_program(code::CALL)?.activate();
    let _guard = task::disable_preemption();
    let reason = at_start().execute();
    Err(alloc::format!("{reason:?}"))
}

fn changing_spaces_under_a_cursor() -> Outcome {
    let space = with_program(code::CALL)?;
    let mut cursor = space.cursor(0x40_0000..0x40_1000).map_err(|_| "no cursor")?;
    cursor.protect_to(0x40_1000, &mut |_| {
        VmSpace::deactivate_current();
        PageFlags::READ
    });
    Err("the kernel lives".into())
}

/// Uses a good deal of stack for each step.
fn dig(depth: u64) -> u64 {
    let mut hole = [depth; 512];
    core::hint::black_box(&mut hole);
    if depth == 0 { 0 } else { dig(depth - 1) + hole[depth as usize % 512] }
}

fn overflowing_a_stack() -> Outcome {
    Err(alloc::format!("dug {}", dig(core::hint::black_box(1 << 20))))
}

fn overflowing_an_idle_stack() -> Outcome {
    let timer = Timer::new(|| {
        let _ = core::hint::black_box(dig(core::hint::black_box(1 << 20)));
    });
    timer.arm(timer::now_ns() + 5_000_000);
    // The CPU is idle by then.
    let _ = Waiter::new().wait_until(timer::now_ns() + 3_000_000_000);
    Err("the kernel lives".into())
}

fn running_out_of_heap() -> Outcome {
    let mut kept = alloc::vec::Vec::new();
    loop {
        kept.push(Arc::new([0_u8; 1 << 16]));
    }
}
