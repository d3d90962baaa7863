//! When there is no memory left: the process whose end frees most is ended, so that the others go on (proc(5), oom_score_adj).

use super::reclaim;
use crate::process::{Process, table};
use crate::signal::{SigInfo, Signal, send};
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::mm::PAGE_SIZE;
use ostd::sync::Waiter;
use ostd::timer::now_ns;

/// What a task that needs memory does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Try again.
    Retry,
    /// Give up: it is on its way out itself.
    Die,
}

/// For how long a victim may take to leave before another is chosen.
const GRACE_NS: u64 = 1_000_000_000;
/// Between two looks at whether it has left.
const STEP_NS: u64 = 5_000_000;
/// The score that stands for all of memory, and the range of oom_score_adj.
const FULL_SCORE: i64 = 1000;

/// When the last victim was chosen; 0: never.
static LAST_KILL_NS: AtomicU64 = AtomicU64::new(0);

/// Makes room: from caches, else by ending a process, and waits a moment for that to take effect.
pub fn relieve() -> Relief {
    if reclaim::make_room() > 0 {
        return Relief::Retry;
    }
    let thread = Thread::current();
    if thread.as_ref().is_some_and(|thread| thread.is_dying()) {
        return Relief::Die;
    }
    let last_ns = LAST_KILL_NS.load(Ordering::Acquire);
    let is_time = last_ns == 0 || now_ns().saturating_sub(last_ns) > GRACE_NS;
    // One at a time chooses; the others wait for what that brings.
    if is_time
        && LAST_KILL_NS
            .compare_exchange(last_ns, now_ns().max(1), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    {
        kill_worst();
    }
    if thread.is_some_and(|thread| thread.is_dying()) {
        return Relief::Die;
    }
    Waiter::new().wait_until(now_ns() + STEP_NS);
    Relief::Retry
}

/// Waits before a system call until there is memory for the small things that it cannot be refused in the middle of. Called with nothing held.
#[cold]
pub fn make_way() -> Relief {
    /// After so many steps without relief the call fails: there may be nobody left to end.
    const PATIENCE: u64 = 2 * GRACE_NS / STEP_NS;
    for _ in 0..PATIENCE {
        if !ostd::mm::is_depleted() {
            return Relief::Retry;
        }
        if relieve() == Relief::Die {
            break;
        }
    }
    Relief::Die
}

/// How much of memory `process` holds, in thousandths, with its adjustment: what /proc/PID/oom_score shows.
pub fn score(process: &Process) -> i64 {
    let pages = held_pages(process);
    let total = ostd::mm::stats().total.max(1);
    let adjustment = i64::from(process.oom_score_adj.load(Ordering::Relaxed));
    (pages as i64 * FULL_SCORE / total as i64 + adjustment).max(0)
}

/// Pages that would be free without `process`: those of its memory, and those that only its open files keep.
fn held_pages(process: &Process) -> usize {
    let resident = process.address_space().map_or(0, |space| space.resident_pages());
    resident + process.fds().kept_bytes() / PAGE_SIZE
}

fn kill_worst() {
    let mut worst: Option<(i64, usize, Arc<Process>)> = None;
    table::for_each(|process| {
        let is_exempt = process.is_init()
            || i64::from(process.oom_score_adj.load(Ordering::Relaxed)) <= -FULL_SCORE
            || process.exit_status().is_some()
            || process.address_space().is_none();
        if !is_exempt {
            let rank = (score(process), held_pages(process));
            if worst.as_ref().is_none_or(|(score, pages, _)| rank > (*score, *pages)) {
                worst = Some((rank.0, rank.1, process.clone()));
            }
        }
        true
    });
    let Some((score, pages, victim)) = worst else {
        log::error!("out of memory, and no process to end");
        return;
    };
    let name = victim.first_thread().map(|thread| thread.name()).unwrap_or_default();
    let name = core::str::from_utf8(&name).unwrap_or("?").trim_end_matches('\0');
    log::warn!("out of memory: ended process {} ({name}), score {score}, {} KiB", victim.pid(), pages * 4);
    // SIGKILL is never refused.
    let _ = send::to_process(&victim, SigInfo::kernel(Signal::KILL));
}
