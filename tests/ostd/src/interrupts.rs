//! Guards that keep interrupts and preemption off, and vectors.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ostd::cpu::{self, PerCpu};
use ostd::irq::{self, IrqLine};
use ostd::task::{Task, disable_preemption};
use ostd::timer::{self, Timer};
use ostd::{Error, task};

use crate::crew::{Crew, wait_for};
use crate::policy::Place;
use crate::{Outcome, ensure};

crate::cases!("interrupts":
    guards_nest_and_hold_interrupts_back,
    preemption_waits_for_the_last_guard,
    handlers_know_that_they_are_handlers,
    vectors_are_given_once_and_come_back,
    the_last_handle_of_a_task_may_go_in_a_handler,
);

/// Long enough for a tick and a timer of a few microseconds.
fn spin_ns(ns: u64) {
    let end = timer::now_ns() + ns;
    while timer::now_ns() < end {
        core::hint::spin_loop();
    }
}

fn guards_nest_and_hold_interrupts_back() -> Outcome {
    let has_fired = Arc::new(AtomicBool::new(false));
    let fired = has_fired.clone();
    let timer = Timer::new(move || fired.store(true, Ordering::SeqCst));
    let outer = irq::disable_local();
    let inner = irq::disable_local();
    timer.arm(timer::now_ns());
    spin_ns(2_000_000);
    drop(inner);
    spin_ns(2_000_000);
    ensure!(!has_fired.load(Ordering::SeqCst), "the inner guard let interrupts in");
    drop(outer);
    wait_for("the timer", || has_fired.load(Ordering::SeqCst))
}

fn preemption_waits_for_the_last_guard() -> Outcome {
    let crew = Crew::default();
    let has_run = Arc::new(AtomicBool::new(false));
    let outer = disable_preemption();
    let here = cpu::current(&outer);
    let ran = has_run.clone();
    crew.start(Place::On(here.as_usize()), move |_| {
        ran.store(true, Ordering::SeqCst);
        Ok(())
    })?;
    let inner = disable_preemption();
    // Several ticks.
    spin_ns(4 * task::TICK_NS);
    drop(inner);
    let per_cpu = PerCpu::new(|index| index);
    let is_pinned = !has_run.load(Ordering::SeqCst) && *per_cpu.get(&outer) == here.as_usize();
    drop(outer);
    crew.join()?;
    ensure!(is_pinned, "another task ran, or this one moved, under a guard");
    Ok(())
}

fn handlers_know_that_they_are_handlers() -> Outcome {
    ensure!(!irq::in_interrupt(), "this is a task");
    let (inside, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (saw, fired) = (inside.clone(), done.clone());
    let timer = Timer::new(move || {
        saw.store(irq::in_interrupt() && Task::current().is_some(), Ordering::SeqCst);
        fired.store(true, Ordering::SeqCst);
    });
    let before = irq::count_total();
    timer.arm(0);
    wait_for("the timer", || done.load(Ordering::SeqCst))?;
    ensure!(inside.load(Ordering::SeqCst), "a timer's callback is a handler");
    ensure!(irq::count_total() > before, "interrupts are counted");
    Ok(())
}

fn vectors_are_given_once_and_come_back() -> Outcome {
    let mut lines = Vec::new();
    let refused = loop {
        match IrqLine::new(|| ()) {
            Ok(line) => lines.push(line),
            Err(error) => break error,
        }
        ensure!(lines.len() <= 256, "there are more lines than vectors");
    };
    ensure!(refused == Error::NoResource, "{refused:?}");
    let mut vectors: Vec<u8> = lines.iter().map(IrqLine::vector).collect();
    let given = vectors.len();
    vectors.sort_unstable();
    vectors.dedup();
    ensure!(vectors.len() == given && vectors[0] >= 0x30, "a vector was given twice, or is an exception's");
    drop(lines);
    IrqLine::new(|| ()).map(drop).map_err(|error| alloc::format!("none came back: {error:?}"))
}

fn the_last_handle_of_a_task_may_go_in_a_handler() -> Outcome {
    /// Something that sleeps when it is dropped, as the kernel's threads may.
    struct Sleepy(Arc<AtomicBool>);
    impl Drop for Sleepy {
        fn drop(&mut self) {
            crate::crew::sleep_ns(100_000);
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let is_dropped = Arc::new(AtomicBool::new(false));
    let data = Arc::new(Sleepy(is_dropped.clone()));
    let task = Task::new(|| (), data, Arc::new(Place::Any)).map_err(|_| "no task")?;
    let slot = ostd::sync::SpinLock::new(Some(task));
    let timer = Timer::new(move || drop(slot.lock_irq().take()));
    timer.arm(0);
    let deadline = timer::now_ns() + 20_000_000_000;
    while !is_dropped.load(Ordering::SeqCst) {
        ensure!(timer::now_ns() < deadline, "the task's data was never dropped");
        crate::crew::sleep_ns(1_000_000);
    }
    Ok(())
}
