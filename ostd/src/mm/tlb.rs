//! Keeping the TLBs of all CPUs in step with page tables.
//!
//! Each CPU notes which space it has loaded ([`Loaded`]). Whoever takes something away from a space asks the CPUs in the space's mask by
//! IPI to forget it, and waits for all answers. A CPU that only still holds a space while it runs a kernel task (lazy) is not interrupted, unless
//! page tables are freed: it compares generations when it comes back to the space. Waiters answer requests themselves, so two of
//! them with interrupts off do not wait for each other forever. Do not drop a cursor or a space while holding a lock that
//! others take with interrupts off.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use super::machine::{self, with_cpu};
use super::{PAGE_SIZE, Vaddr, kspace};
use crate::cpu::MAX_CPUS;

/// From so many pages on, forgetting everything is cheaper than page by page.
const FLUSH_ALL_FROM: usize = 33;

/// No space: the kernel's own root.
pub(super) const KERNEL: usize = 0;

/// What a CPU has loaded. Written by that CPU only, with interrupts off.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Loaded {
    /// The space's address as an identity, or [`KERNEL`].
    pub(super) space: AtomicUsize,
    /// Whether the current task has no space of its own, so that this one is only still there.
    pub(super) is_lazy: AtomicBool,
    /// The space's generation when it was last flushed here.
    pub(super) generation: AtomicU64,
}

pub(super) static LOADED: [Loaded; MAX_CPUS] = [const {
    Loaded { space: AtomicUsize::new(KERNEL), is_lazy: AtomicBool::new(true), generation: AtomicU64::new(0) }
}; MAX_CPUS];

/// What to forget.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Pages of a space, or of the kernel's half for [`KERNEL`].
    Pages { space: usize, start: Vaddr, pages: usize },
    /// The whole space, down to its root: it is about to be freed.
    Space { space: usize },
}

/// One CPU's question to others; valid while `waiting` is not zero.
#[repr(align(64))]
struct Request {
    space: AtomicUsize,
    start: AtomicUsize,
    /// [`LEAVE`]: the whole space.
    pages: AtomicUsize,
    /// The CPUs that have not answered.
    waiting: AtomicU64,
}

const LEAVE: usize = usize::MAX;

#[repr(align(64))]
struct Askers(AtomicU64);

static REQUESTS: [Request; MAX_CPUS] = [const {
    Request {
        space: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        pages: AtomicUsize::new(0),
        waiting: AtomicU64::new(0),
    }
}; MAX_CPUS];
/// For each CPU: who has asked it something.
static ASKED_BY: [Askers; MAX_CPUS] = [const { Askers(AtomicU64::new(0)) }; MAX_CPUS];

/// Whether the current task has a space of its own, so that what is loaded is what it may access.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn has_user_space() -> bool {
    // The answer belongs to the task, not to the CPU, so it stays true when the task moves after this.
    with_cpu(|cpu| !LOADED[cpu].is_lazy.load(Ordering::Relaxed))
}

/// As [`has_user_space`], with interrupts off.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn has_user_space_here() -> bool {
    !LOADED[crate::cpu::current_racy().as_usize()].is_lazy.load(Ordering::Relaxed)
}

/// The interrupt by which another CPU asks.
#[cfg(target_os = "none")]
pub(crate) fn on_ipi() {
    serve_pending();
}

/// Answers what other CPUs have asked; for loops that wait with interrupts off.
pub(super) fn serve_pending() {
    with_cpu(serve);
}

/// Makes the CPUs in `mask` forget, this one included if it is in there, and waits for them.
pub(super) fn flush(mask: u64, what: What) {
    with_cpu(|cpu| {
        let here = 1 << cpu;
        if mask & !here != 0 {
            ask(cpu, mask & !here, what);
        }
        if mask & here != 0 {
            forget(cpu, what);
        }
        let mut patience = machine::Patience::new();
        loop {
            let waiting = REQUESTS[cpu].waiting.load(Ordering::Acquire);
            if waiting == 0 {
                break;
            }
            serve(cpu);
            core::hint::spin_loop();
            // In a trust domain the host delivers IPIs, or does not.
            if patience.is_at_an_end(waiting) {
                others_of(waiting).for_each(machine::send_flush_ipi);
            }
        }
    });
}

/// Makes all CPUs forget pages of the kernel's half.
#[cfg(target_os = "none")]
pub(super) fn flush_kernel(start: Vaddr, pages: usize) {
    let all = u64::MAX >> (64 - crate::cpu::count().clamp(1, 64));
    flush(all, What::Pages { space: KERNEL, start, pages });
}

fn ask(cpu: usize, others: u64, what: What) {
    let request = &REQUESTS[cpu];
    let (space, start, pages) = match what {
        What::Pages { space, start, pages } => (space, start, pages),
        What::Space { space } => (space, 0, LEAVE),
    };
    request.space.store(space, Ordering::Relaxed);
    request.start.store(start, Ordering::Relaxed);
    request.pages.store(pages, Ordering::Relaxed);
    request.waiting.store(others, Ordering::Relaxed);
    // The tables' changes must be visible before anybody forgets and reads them anew.
    fence(Ordering::SeqCst);
    for other in others_of(others) {
        ASKED_BY[other].0.fetch_or(1 << cpu, Ordering::Release);
        machine::send_flush_ipi(other);
    }
}

fn others_of(mask: u64) -> impl Iterator<Item = usize> {
    (0..MAX_CPUS).filter(move |cpu| mask & 1 << cpu != 0)
}

fn serve(cpu: usize) {
    if ASKED_BY[cpu].0.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut askers = ASKED_BY[cpu].0.swap(0, Ordering::Acquire);
    while askers != 0 {
        let request = &REQUESTS[askers.trailing_zeros() as usize];
        askers &= askers - 1;
        let (space, pages) = (request.space.load(Ordering::Relaxed), request.pages.load(Ordering::Relaxed));
        let what = match pages {
            LEAVE => What::Space { space },
            pages => What::Pages { space, start: request.start.load(Ordering::Relaxed), pages },
        };
        forget(cpu, what);
        request.waiting.fetch_and(!(1 << cpu), Ordering::Release);
    }
}

fn forget(cpu: usize, what: What) {
    let loaded = &LOADED[cpu];
    match what {
        What::Pages { space, start, pages } => {
            // Whoever has left a space since has flushed by that.
            if space != KERNEL && loaded.space.load(Ordering::Relaxed) != space {
                return;
            }
            if pages < FLUSH_ALL_FROM {
                (0..pages).for_each(|page| machine::flush_page(start + page * PAGE_SIZE));
            } else if space == KERNEL {
                machine::flush_all();
            } else {
                machine::flush_all_user();
            }
        }
        What::Space { space } => {
            if loaded.space.load(Ordering::Relaxed) == space {
                loaded.space.store(KERNEL, Ordering::Relaxed);
                let root = kspace::root();
                // SAFETY: the kernel's root maps the kernel as every space does.
                unsafe { machine::load_root(root) };
            }
        }
    }
}
