//! Timers: order, deadlines in the past, arming again and cancelling under races.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use ostd::sync::{Once, SpinLock};
use ostd::timer::{self, Timer};

use crate::crew::{Crew, Dice, sleep_ns, wait_for};
use crate::policy::Place;
use crate::{Outcome, ensure};

crate::cases!("timers":
    they_fire_in_order_and_not_early,
    a_past_deadline_fires_at_once,
    a_cancelled_timer_stays_quiet,
    arming_again_replaces_the_deadline,
    a_timer_may_arm_itself,
    a_dropped_handle_does_not_cancel,
    arm_and_cancel_race_without_losing_the_last,
);

fn counter() -> (Arc<AtomicUsize>, Arc<Timer>) {
    let count = Arc::new(AtomicUsize::new(0));
    let fired = count.clone();
    (
        count,
        Timer::new(move || {
            fired.fetch_add(1, Ordering::SeqCst);
        }),
    )
}

fn they_fire_in_order_and_not_early() -> Outcome {
    let fired: Arc<SpinLock<Vec<(usize, u64)>>> = Arc::default();
    let start = timer::now_ns() + 2_000_000;
    let deadlines: Vec<u64> = [5, 1, 4, 2, 3, 0].iter().map(|step| start + step * 300_000).collect();
    let timers: Vec<_> = deadlines
        .iter()
        .enumerate()
        .map(|(index, deadline)| {
            let fired = fired.clone();
            let timer = Timer::new(move || fired.lock_irq().push((index, timer::now_ns())));
            timer.arm(*deadline);
            timer
        })
        .collect();
    wait_for("six timers", || fired.lock_irq().len() == timers.len())?;
    let fired = fired.lock_irq().clone();
    // This task may have moved between two of them, and CPUs have queues of their own: times count, not places in the list.
    for (index, at) in &fired {
        ensure!(*at >= deadlines[*index], "timer {index} fired {} ns early", deadlines[*index] - at);
    }
    ensure!(timers.iter().all(|timer| timer.deadline_ns().is_none()), "one is still armed");
    Ok(())
}

fn a_past_deadline_fires_at_once() -> Outcome {
    let (count, timer) = counter();
    for deadline in [0, timer::now_ns()] {
        let before = count.load(Ordering::SeqCst);
        timer.arm(deadline);
        wait_for("a past deadline", || count.load(Ordering::SeqCst) == before + 1)?;
    }
    Ok(())
}

fn a_cancelled_timer_stays_quiet() -> Outcome {
    let (count, timer) = counter();
    ensure!(!timer.cancel(), "it was not armed");
    timer.arm(timer::now_ns() + 3_000_000);
    ensure!(timer.deadline_ns().is_some() && timer.cancel() && !timer.cancel(), "it was armed once");
    sleep_ns(6_000_000);
    ensure!(count.load(Ordering::SeqCst) == 0, "it fired");
    timer.arm(u64::MAX);
    ensure!(timer.cancel(), "it waits for ever");
    Ok(())
}

fn arming_again_replaces_the_deadline() -> Outcome {
    let (count, timer) = counter();
    timer.arm(timer::now_ns() + 3_600_000_000_000);
    timer.arm(timer::now_ns() + 1_000_000);
    wait_for("the new deadline", || count.load(Ordering::SeqCst) == 1)?;
    sleep_ns(2_000_000);
    ensure!(count.load(Ordering::SeqCst) == 1, "it fired twice");
    Ok(())
}

fn a_timer_may_arm_itself() -> Outcome {
    let own: Arc<Once<Arc<Timer>>> = Arc::new(Once::new());
    let count = Arc::new(AtomicUsize::new(0));
    let (again, fired) = (own.clone(), count.clone());
    let timer = Timer::new(move || {
        // In the past, again and again: others get their turn all the same.
        if fired.fetch_add(1, Ordering::SeqCst) < 50
            && let Some(timer) = again.get()
        {
            timer.arm(0);
        }
    });
    own.call_once(|| timer.clone());
    timer.arm(0);
    wait_for("fifty rounds", || count.load(Ordering::SeqCst) == 51)
}

fn a_dropped_handle_does_not_cancel() -> Outcome {
    let (count, timer) = counter();
    timer.arm(timer::now_ns() + 1_000_000);
    drop(timer);
    wait_for("the timer", || count.load(Ordering::SeqCst) == 1)?;
    wait_for("its callback to be dropped", || Arc::strong_count(&count) == 1)
}

fn arm_and_cancel_race_without_losing_the_last() -> Outcome {
    let (count, timer) = counter();
    let crew = Crew::default();
    for number in 0..3 {
        let timer = timer.clone();
        crew.start(Place::On(number), move |_| {
            let mut dice = Dice(number as u64 + 11);
            for _ in 0..3000 {
                match dice.roll(4) {
                    0 => drop(timer.cancel()),
                    _ => timer.arm(timer::now_ns() + dice.roll(30_000) as u64),
                }
            }
            Ok(())
        })?;
    }
    crew.join()?;
    timer.cancel();
    sleep_ns(2_000_000);
    let before = count.load(Ordering::SeqCst);
    timer.arm(timer::now_ns() + 500_000);
    wait_for("the last one", || count.load(Ordering::SeqCst) == before + 1)?;
    sleep_ns(2_000_000);
    ensure!(count.load(Ordering::SeqCst) == before + 1, "an old one fired");
    Ok(())
}
