//! Who goes next.

use super::{IDLE_WEIGHT, Rank, RunQueue, virtual_ns, weight};
use alloc::vec::Vec;
use proptest::prelude::{any, proptest};

#[test]
fn real_time_goes_before_fair_and_high_before_low() {
    let mut queue = RunQueue::new();
    queue.push(Rank::Fair(0), "fair", false);
    queue.push(Rank::RealTime(1), "low", false);
    queue.push(Rank::RealTime(99), "high", false);
    queue.push(Rank::RealTime(99), "second", false);
    queue.push(Rank::RealTime(99), "first", true);
    let order: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(order, ["first", "high", "second", "low", "fair"]);
    assert!(queue.is_empty());
}

#[test]
fn stealing_takes_who_waits_longest_and_may_go() {
    let mut queue = RunQueue::new();
    for virtual_ns in [30, 10, 20] {
        queue.push(Rank::Fair(virtual_ns), virtual_ns, false);
    }
    assert_eq!(queue.steal(|&task| task != 30), Some(20));
    assert_eq!(queue.steal(|_| false), None);
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.pop(), Some(10));
}

#[test]
fn a_step_of_nice_is_a_quarter() {
    assert_eq!(weight(0), 1024);
    for nice in -20..19 {
        let ratio = weight(nice) as f64 / weight(nice + 1) as f64;
        assert!((1.15..1.35).contains(&ratio), "{nice}: {ratio}");
    }
    assert!(weight(19) > IDLE_WEIGHT);
    assert_eq!(weight(-100), weight(-20));
}

/// Runs whoever is next for a tick, often, and looks at the shares.
#[test]
fn shares_follow_weights() {
    let nices = [0, 0, 5, -5];
    let mut queue = RunQueue::new();
    nices.iter().enumerate().for_each(|(task, _)| queue.push(Rank::Fair(0), task, false));
    let mut virtual_time = [0; 4];
    let mut ran = [0_u64; 4];
    for _ in 0..100_000 {
        let task = queue.pop().unwrap();
        ran[task] += 1;
        virtual_time[task] += virtual_ns(1_000_000, weight(nices[task]));
        queue.push(Rank::Fair(virtual_time[task]), task, false);
    }
    let total: u64 = nices.iter().map(|&nice| weight(nice)).sum();
    for (task, &nice) in nices.iter().enumerate() {
        let (share, due) = (ran[task] as f64 / 100_000.0, weight(nice) as f64 / total as f64);
        assert!((share - due).abs() < 0.01, "nice {nice}: {share} instead of {due}");
    }
}

proptest! {
    #[test]
    fn gives_back_each_task_once_and_in_order(tasks in proptest::collection::vec((any::<bool>(), 1..=99_u8, 0..50_u64), 0..60)) {
        let mut queue = RunQueue::new();
        for (i, &(is_real_time, priority, virtual_ns)) in tasks.iter().enumerate() {
            let rank = if is_real_time { Rank::RealTime(priority) } else { Rank::Fair(virtual_ns) };
            queue.push(rank, (rank, i), false);
        }
        let key = |rank| match rank { Rank::RealTime(p) => (0, 99 - u64::from(p)), Rank::Fair(v) => (1, v) };
        let mut previous = None;
        for _ in 0..tasks.len() {
            let peeked = queue.peek();
            let (rank, i) = queue.pop().unwrap();
            assert_eq!(peeked, Some(rank));
            assert!(previous < Some((key(rank), i)), "order, and arrival among equals");
            previous = Some((key(rank), i));
        }
        assert!(queue.pop().is_none() && queue.peek().is_none());
    }
}
