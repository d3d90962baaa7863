//! What happens with time: neighbours that do not answer, datagrams that stay incomplete, flows that end. All of it once a second, by the network
//! task, and only while there is something to wait for.

use super::backlog;
use super::link::neighbour;
use super::ns::NetNs;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::sync::{Lazy, SpinLock};
use ostd::timer::{Timer, now_ns};

const TICK_NS: u64 = 1_000_000_000;

/// All namespaces.
static NAMESPACES: SpinLock<Vec<Weak<NetNs>>> = SpinLock::new(Vec::new());
static IS_ARMED: AtomicBool = AtomicBool::new(false);
static IS_DUE: AtomicBool = AtomicBool::new(false);
static TIMER: Lazy<Arc<Timer>> = Lazy::new(|| {
    Timer::new(|| {
        IS_DUE.store(true, Ordering::Release);
        backlog::wake_server();
    })
});

/// Makes a namespace known.
pub fn register(namespace: &Weak<NetNs>) {
    let mut namespaces = NAMESPACES.lock();
    namespaces.retain(|other| other.strong_count() > 0);
    namespaces.push(namespace.clone());
}

/// Something waits: [`NetNs`]s are looked at in a second.
pub fn request() {
    if !IS_ARMED.swap(true, Ordering::AcqRel) {
        TIMER.arm(now_ns() + TICK_NS);
    }
}

/// Whether it is time.
pub fn is_due() -> bool {
    IS_DUE.load(Ordering::Acquire)
}

/// Looks at everything that waits.
pub fn run() {
    if !IS_DUE.swap(false, Ordering::AcqRel) {
        return;
    }
    // In this order: what is requested from here on gets a second of its own.
    IS_ARMED.store(false, Ordering::Release);
    let namespaces: Vec<_> = NAMESPACES.lock().iter().filter_map(Weak::upgrade).collect();
    let mut is_pending = false;
    for namespace in &namespaces {
        for link in namespace.links() {
            is_pending |= backlog::run(|| neighbour::tick(&link));
        }
        is_pending |= backlog::run(|| namespace.tick());
    }
    if is_pending {
        request();
    }
}
