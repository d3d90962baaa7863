//! Tasks: starting, switching, sleeping, ending; and a policy that lies about them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ostd::cpu;
use ostd::sync::{WaitQueue, Waiter};
use ostd::task::{self, Task};
use ostd::{mm, timer};

use crate::crew::{Crew, Dice, sleep_ns, wait_for};
use crate::policy::{self, Place};
use crate::{Outcome, ensure};

crate::cases!("tasks":
    data_and_policy_come_back,
    storms_of_switches_lose_nothing,
    wakes_and_sleeps_meet,
    deadlines_end_sleeps,
    wakes_race_with_deadlines,
    spinning_tasks_are_preempted,
    ended_tasks_leave_nothing,
    a_task_that_never_starts_is_dropped,
    a_lying_policy_runs_nobody_twice,
    time_is_charged,
);

fn data_and_policy_come_back() -> Outcome {
    let crew = Crew::default();
    let seen = Arc::new(AtomicUsize::new(0));
    let result = seen.clone();
    let main = move || {
        let current = Task::current().expect("a task runs this");
        let data = current.data().downcast_ref::<u32>().copied();
        let wrong = current.data().downcast_ref::<u64>();
        let place = current.policy().downcast_ref::<Place>().copied();
        let is_right = data == Some(7) && wrong.is_none() && place == Some(Place::Any);
        result.store(1 + usize::from(is_right), Ordering::SeqCst);
    };
    let task = Task::new(main, Arc::new(7_u32), Arc::new(Place::Any)).map_err(|_| "no task")?;
    task.start();
    task.start();
    wait_for("the task", || seen.load(Ordering::SeqCst) > 0)?;
    ensure!(seen.load(Ordering::SeqCst) == 2, "the task found other data");
    crew.join()
}

fn storms_of_switches_lose_nothing() -> Outcome {
    let crew = Crew::default();
    for number in 0..8_u64 {
        crew.start(Place::Any, move |crew| {
            // Locals and their sum live across switches on this stack only.
            let mut values = [number; 16];
            for round in 0..1500_u64 {
                values[round as usize % 16] += round;
                task::yield_now();
                if round % 64 == 0 {
                    sleep_ns(10_000);
                }
                ensure!(!crew.is_stopped(), "another task failed");
            }
            let expected = 16 * number + 1499 * 1500 / 2;
            ensure!(values.iter().sum::<u64>() == expected, "a stack changed under its task");
            Ok(())
        })?;
    }
    crew.join()
}

fn wakes_and_sleeps_meet() -> Outcome {
    const ROUNDS: usize = 4000;
    struct Table {
        ball: AtomicUsize,
        sides: [WaitQueue; 2],
    }
    let table = Arc::new(Table { ball: AtomicUsize::new(0), sides: [const { WaitQueue::new() }; 2] });
    let crew = Crew::default();
    for side in 0..2 {
        let table = table.clone();
        crew.start(Place::On(side), move |_| {
            for round in 0..ROUNDS {
                let wanted = 2 * round + side;
                table.sides[side].wait_until(|| (table.ball.load(Ordering::SeqCst) == wanted).then_some(()));
                table.ball.store(wanted + 1, Ordering::SeqCst);
                table.sides[1 - side].wake_one();
            }
            Ok(())
        })?;
    }
    crew.join()?;
    ensure!(table.ball.load(Ordering::SeqCst) == 2 * ROUNDS, "the ball is lost");
    Ok(())
}

fn deadlines_end_sleeps() -> Outcome {
    let waiter = Waiter::new();
    let start = timer::now_ns();
    ensure!(!waiter.wait_until(start + 5_000_000), "nobody woke it");
    let slept = timer::now_ns() - start;
    ensure!(slept >= 5_000_000, "it slept {slept} ns only");
    ensure!(!waiter.wait_until(start), "a deadline in the past is a deadline");
    waiter.waker().wake();
    ensure!(waiter.wait_until(start), "a wake before the sleep counts");
    ensure!(!waiter.wait_until(start), "and counts once");
    Ok(())
}

fn wakes_race_with_deadlines() -> Outcome {
    let crew = Crew::default();
    let queue = Arc::new(WaitQueue::new());
    let sleepers = queue.clone();
    crew.start(Place::On(0), move |crew| {
        let mut dice = Dice(99);
        for _ in 0..1500 {
            let waiter = Waiter::new();
            sleepers.enqueue(waiter.waker().clone());
            if !waiter.wait_until(timer::now_ns() + dice.roll(60_000) as u64) {
                sleepers.remove(waiter.waker());
            }
        }
        crew.stop();
        Ok(())
    })?;
    crew.start(Place::On(1), move |crew| {
        let mut dice = Dice(7);
        while !crew.is_stopped() {
            queue.wake_all();
            sleep_ns(dice.roll(60_000) as u64);
        }
        Ok(())
    })?;
    crew.join()
}

fn spinning_tasks_are_preempted() -> Outcome {
    let crew = Crew::default();
    let arrived = Arc::new(AtomicUsize::new(0));
    let total = 2 * cpu::count();
    for number in 0..total {
        let arrived = arrived.clone();
        // Nobody gives way: only the tick lets the others arrive.
        crew.start(Place::On(number), move |_| {
            arrived.fetch_add(1, Ordering::SeqCst);
            let deadline = timer::now_ns() + 20_000_000_000;
            while arrived.load(Ordering::SeqCst) < total {
                ensure!(timer::now_ns() < deadline, "the others never ran");
                core::hint::spin_loop();
            }
            Ok(())
        })?;
    }
    crew.join()
}

fn ended_tasks_leave_nothing() -> Outcome {
    struct Attached(Arc<AtomicUsize>);
    impl Drop for Attached {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    const TASKS: usize = 200;
    const STACK_FRAMES: usize = 16;
    let round = || -> Outcome {
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..TASKS {
            let data = Arc::new(Attached(dropped.clone()));
            let place = Arc::new(Place::Any);
            Task::new(task::yield_now, data, place).map_err(|_| "no task")?.start();
        }
        // Each is dropped by the reaper, which idle CPUs wake.
        let deadline = timer::now_ns() + 20_000_000_000;
        while dropped.load(Ordering::SeqCst) < TASKS {
            ensure!(timer::now_ns() < deadline, "{dropped:?} of {TASKS} were dropped");
            sleep_ns(1_000_000);
        }
        Ok(())
    };
    for _ in 0..2 {
        round()?;
    }
    let before = mm::stats();
    for _ in 0..5 {
        round()?;
    }
    let after = mm::stats();
    // How many live at the same time differs from round to round; if all were left, there would be a thousand.
    let most = before.stacks.max((TASKS + 64) * STACK_FRAMES);
    ensure!(after.stacks <= most, "stacks grew from {} to {} frames", before.stacks, after.stacks);
    // A task's extended state alone is a frame. Slabs are fuller or emptier with how many lived at a time.
    ensure!(
        after.heap <= before.heap + TASKS / 2,
        "the heap grew from {} to {} frames",
        before.heap,
        after.heap
    );
    Ok(())
}

fn a_task_that_never_starts_is_dropped() -> Outcome {
    let token = Arc::new(());
    let inside = token.clone();
    let task = Task::new(move || drop(inside), token.clone(), token.clone()).map_err(|_| "no task")?;
    ensure!(Arc::strong_count(&token) == 4, "data, policy and main hold it");
    drop(task);
    ensure!(Arc::strong_count(&token) == 1, "all of them are dropped");
    Ok(())
}

fn a_lying_policy_runs_nobody_twice() -> Outcome {
    let crew = Crew::default();
    policy::lie(true);
    for number in 0..6_u64 {
        crew.start(Place::Any, move |_| {
            let is_inside = AtomicBool::new(false);
            let mut count = number;
            for round in 0..600_u64 {
                if is_inside.swap(true, Ordering::SeqCst) {
                    return Err("two CPUs stand on one stack".into());
                }
                count += 1;
                for _ in 0..50 {
                    core::hint::spin_loop();
                }
                is_inside.store(false, Ordering::SeqCst);
                if round % 3 == 0 {
                    sleep_ns(20_000);
                } else {
                    task::yield_now();
                }
            }
            ensure!(count == number + 600, "a stack changed under its task");
            Ok(())
        })?;
    }
    let outcome = crew.join();
    let lies = policy::lie(false);
    outcome?;
    ensure!(lies > 100, "the policy lied {lies} times only");
    Ok(())
}

fn time_is_charged() -> Outcome {
    let current = Task::current().ok_or("no task")?;
    let sum = |(user, kernel): (u64, u64)| user + kernel;
    let before = sum(current.cpu_time_ns());
    let end = timer::now_ns() + 10_000_000;
    while timer::now_ns() < end {
        core::hint::spin_loop();
    }
    let used = sum(current.cpu_time_ns()) - before;
    ensure!(used >= 5_000_000, "10 ms of work were charged as {used} ns");
    Ok(())
}
