//! The bounds of the dentry cache: a clock over all cached names, counts, and the hash of names.
//!
//! The clock holds weak references only; a name that was used since the hand last passed gets another round.

use super::dentry::Dentry;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ostd::sync::{Lazy, Once, SpinLock};

/// Dentries alive, cached or held.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
static CLOCK: SpinLock<VecDeque<Weak<Dentry>>> = SpinLock::new(VecDeque::new());
/// Keeps two shrinkers from walking at once.
static SHRINKING: AtomicBool = AtomicBool::new(false);

/// The most dentries that stay without being in use: one for every eight frames of memory, at about 250 bytes each less than 1 % of it.
static LIMIT: Lazy<usize> = Lazy::new(|| (ostd::mm::stats().total / 8).max(1024));

/// How many dentries are alive.
pub fn alive() -> usize {
    ALIVE.load(Ordering::Relaxed)
}

/// Names that the hand passes for each new one while there are too many: more than come, so that it catches up, but no more where most are
/// in use. Directories that lie in each other all are.
const STEPS: usize = 32;

/// Drops up to `count` names that nobody uses; returns how many went. Memory pressure and tests call it.
pub fn shrink(count: usize) -> usize {
    // Two rounds: the first may only take marks away.
    let steps = CLOCK.lock().len().saturating_mul(2);
    advance(count, steps)
}

/// Moves the hand by up to `steps` names, until `count` have been dropped; returns how many were.
fn advance(count: usize, steps: usize) -> usize {
    if SHRINKING.swap(true, Ordering::Acquire) {
        return 0;
    }
    let mut dropped = 0;
    for _ in 0..steps {
        if dropped >= count {
            break;
        }
        let Some(weak) = CLOCK.lock().pop_front() else { break };
        let Some(dentry) = weak.upgrade() else { continue };
        if dentry.evict() {
            dropped += 1;
        } else {
            CLOCK.lock().push_back(weak);
        }
    }
    SHRINKING.store(false, Ordering::Release);
    dropped
}

/// A dentry came into a table.
pub(super) fn track(dentry: &Arc<Dentry>) {
    let alive = alive();
    let len = {
        let mut clock = CLOCK.lock();
        // Without memory it is not known to the shrinker, and goes with its directory or its file.
        if clock.try_reserve(1).is_ok() {
            clock.push_back(Arc::downgrade(dentry));
        }
        clock.len()
    };
    if len > 2 * alive + 1024 {
        // Most are gone: their husks would otherwise stay until the hand comes by.
        CLOCK.lock().retain(|weak| weak.strong_count() > 0);
    }
    if alive > *LIMIT || ostd::mm::is_exhausted() {
        advance(usize::MAX, STEPS);
    }
}

pub(super) fn count_new() {
    ALIVE.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_gone() {
    ALIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Hash of a name: folded multiplication with a secret of this boot, so that nobody can choose names that collide.
pub(super) fn hash(name: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = *SECRET.call_once(secret) ^ name.len() as u64;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MULTIPLIER);
    }
    let mut last = 0u64;
    for &byte in rest {
        last = last << 8 | u64::from(byte);
    }
    fold(state ^ last, MULTIPLIER)
}

static SECRET: Once<u64> = Once::new();

fn secret() -> u64 {
    let mut bytes = [0; 8];
    // Without hardware randomness the cache works as well; only an attacker's names could then be chosen to collide.
    if ostd::random::fill(&mut bytes).is_err() {
        return ostd::timer::now_ns() | 1;
    }
    u64::from_le_bytes(bytes)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}
