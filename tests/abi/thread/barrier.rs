//! membarrier(2).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};
use std::thread;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw;

cases!("thread":
    membarrier_wants_a_registration_first,
    membarrier_orders_plain_stores_of_other_threads,
    membarrier_registrations_pass_to_children,
);

const QUERY: usize = 0;
const GLOBAL: usize = 1;
const PRIVATE_EXPEDITED: usize = 8;
const REGISTER_PRIVATE_EXPEDITED: usize = 16;
const SYNC_CORE: usize = 32;
const REGISTER_SYNC_CORE: usize = 64;

fn membarrier(command: usize) -> nix::Result<usize> {
    raw::harmless(libc::SYS_membarrier, [command, 0, 0])
}

fn membarrier_wants_a_registration_first() -> Outcome {
    let known = membarrier(QUERY)?;
    check_eq!(known & 0x7f, 0x7f);
    check_fails!(membarrier(PRIVATE_EXPEDITED), EPERM);
    check_fails!(membarrier(SYNC_CORE), EPERM);
    membarrier(REGISTER_PRIVATE_EXPEDITED)?;
    check_eq!(membarrier(PRIVATE_EXPEDITED)?, 0);
    check_fails!(membarrier(SYNC_CORE), EPERM);
    membarrier(REGISTER_SYNC_CORE)?;
    check_eq!(membarrier(SYNC_CORE)?, 0);
    check_eq!(membarrier(GLOBAL)?, 0);
    check_fails!(membarrier(1 << 20), EINVAL);
    check_fails!(raw::harmless(libc::SYS_membarrier, [QUERY, 1 << 5, 0]), EINVAL);
    Ok(())
}

/// Dekker's pattern with a barrier on one side only: if we do not see a round of the other thread yet, that round sees our store.
fn membarrier_orders_plain_stores_of_other_threads() -> Outcome {
    const ROUNDS: u64 = 2000;
    const KEPT: usize = 1 << 12;
    static FAST: AtomicU64 = AtomicU64::new(0);
    static SLOW: AtomicU64 = AtomicU64::new(0);
    /// By round: its number, and what it has seen.
    static SEEN: [AtomicU64; KEPT] = [const { AtomicU64::new(0) }; KEPT];
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    membarrier(REGISTER_PRIVATE_EXPEDITED)?;
    let fast = thread::spawn(|| {
        let mut round = 0;
        while !IS_OVER.load(Ordering::Relaxed) {
            round += 1;
            FAST.store(round, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            let seen = SLOW.load(Ordering::Relaxed);
            SEEN[round as usize % KEPT].store(round << 16 | seen, Ordering::Release);
        }
    });
    let (mut judged, mut missed) = (0, 0);
    for round in 1..=ROUNDS {
        SLOW.store(round, Ordering::Relaxed);
        membarrier(PRIVATE_EXPEDITED)?;
        let next = FAST.load(Ordering::Relaxed) + 1;
        while FAST.load(Ordering::Acquire) <= next {
            thread::yield_now();
        }
        let seen = SEEN[next as usize % KEPT].load(Ordering::Acquire);
        // Unless it was overwritten while we were not running.
        if seen >> 16 == next {
            judged += 1;
            missed += u64::from(seen & 0xffff < round);
        }
    }
    IS_OVER.store(true, Ordering::Relaxed);
    check!(fast.join().is_ok());
    check!(judged > 0);
    check_eq!(missed, 0);
    Ok(())
}

fn membarrier_registrations_pass_to_children() -> Outcome {
    membarrier(REGISTER_PRIVATE_EXPEDITED)?;
    child::passes(|| {
        check_eq!(membarrier(PRIVATE_EXPEDITED)?, 0);
        Ok(())
    })
}
