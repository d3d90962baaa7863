//! Making room: evicting clean pages of backed files, and asking other caches of the kernel to shrink.
//!
//! Eviction is second chance: pages carry a mark that use sets and a look of the evictor clears, so reading costs no list upkeep.
//! Mapped pages stay. When all that is left is dirty it is written back first.

use super::page_cache::{Cache, WeakCache};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// How many pages to free at a time.
const BATCH: usize = 128;

#[derive(Debug)]
struct Registry {
    caches: Vec<WeakCache>,
    /// Length at which dead entries are taken out.
    sweep_at: usize,
    hand: usize,
}

static CACHES: SpinLock<Registry> = SpinLock::new(Registry { caches: Vec::new(), sweep_at: 64, hand: 0 });
static SHRINKERS: SpinLock<Vec<Shrinker>> = SpinLock::new(Vec::new());

/// Frees up to so many objects of a cache and says how many went. Called in task context; must not need memory to do it.
pub type Shrinker = fn(usize) -> usize;

/// Adds a cache of kernel objects (names, inodes) that can be made smaller when memory is short.
pub fn register_shrinker(shrinker: Shrinker) {
    SHRINKERS.lock().push(shrinker);
}

/// Makes a backed cache known.
pub(super) fn register(cache: &Arc<Cache>) {
    let mut registry = CACHES.lock();
    if registry.caches.len() >= registry.sweep_at {
        registry.caches.retain(|cache| cache.strong_count() > 0);
        registry.sweep_at = (registry.caches.len() * 2).max(64);
    }
    registry.caches.push(Arc::downgrade(cache));
}

/// Frees memory; returns how much went, in pages or objects, 0 when there is nothing to take.
pub fn make_room() -> usize {
    let clean = evict_clean();
    if clean > 0 {
        return clean;
    }
    let shrinkers = SHRINKERS.lock().clone();
    let shrunk: usize = shrinkers.iter().map(|shrink| shrink(BATCH)).sum();
    if shrunk > 0 {
        return shrunk;
    }
    write_back_all();
    evict_clean()
}

/// Goes round all caches up to three times: the first look may only have taken marks away, and a large cache is looked at in parts.
fn evict_clean() -> usize {
    let rounds = CACHES.lock().caches.len() * 3;
    let mut freed = 0;
    for _ in 0..rounds {
        let Some(cache) = next_cache() else { continue };
        let parts = cache.resident() / 256 + 1;
        for _ in 0..parts {
            freed += cache.evict(BATCH - freed);
            if freed >= BATCH {
                return freed;
            }
        }
    }
    freed
}

fn next_cache() -> Option<Arc<Cache>> {
    let mut registry = CACHES.lock();
    let len = registry.caches.len().max(1);
    registry.hand = (registry.hand + 1) % len;
    registry.caches.get(registry.hand)?.upgrade()
}

fn write_back_all() {
    let rounds = CACHES.lock().caches.len();
    for _ in 0..rounds {
        if let Some(cache) = next_cache() {
            cache.clean();
        }
    }
}
