//! When there is no memory left, or a control group has no room: the process whose end frees most is ended, so that the others go on (proc(5),
//! oom_score_adj).

use super::account::{Account, Full};
use super::reclaim;
use crate::cgroup::Cgroup;
use crate::error::{Errno, Result};
use crate::process::log::Who;
use crate::process::{Process, table};
use crate::signal::{SigInfo, Signal, send};
use crate::thread::{Thread, wait};
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
/// After so many steps without relief a call fails: there may be nobody left to end.
const PATIENCE: u64 = 2 * GRACE_NS / STEP_NS;
/// Frames that a CPU may have at hand while others find none.
const SLACK: usize = 128;
/// The score that stands for all of memory, and the range of oom_score_adj.
const FULL_SCORE: i64 = 1000;

/// When the last victim was chosen; 0: never.
static LAST_KILL_NS: AtomicU64 = AtomicU64::new(0);

/// Makes room for a page of `account`'s: from caches, else by ending a process, and waits a moment for that to take effect.
pub fn relieve(account: Account) -> Relief {
    match account.full() {
        Some(full) => relieve_group(full),
        None => relieve_machine(),
    }
}

fn relieve_machine() -> Relief {
    if reclaim::make_room() > 0 {
        return Relief::Retry;
    }
    // It may have been a group that had no room, and has some by now.
    choose_and_wait(&LAST_KILL_NS, || {
        if is_short() {
            kill_worst(None);
        }
        true
    })
}

/// Ends a process of the group whose account is full.
fn relieve_group(Full(account): Full) -> Relief {
    let (Some(counters), Some(group)) = (account.counters(), account.group()) else { return Relief::Retry };
    choose_and_wait(&counters.last_kill_ns, || {
        if account.full().is_none() {
            return true;
        }
        account.count(|events| &events.oom);
        let has_victim = kill_worst(Some(&group));
        group.tell_memory_events();
        has_victim
    })
}

/// Has `choose` end somebody, unless that was done lately, and waits a moment. `Die` if the current thread is on its way out, or nobody was left.
fn choose_and_wait(last_kill_ns: &AtomicU64, choose: impl FnOnce() -> bool) -> Relief {
    let thread = Thread::current();
    let is_dying = || thread.as_ref().is_some_and(|thread| thread.is_dying());
    if is_dying() {
        return Relief::Die;
    }
    let last_ns = last_kill_ns.load(Ordering::Acquire);
    let is_time = last_ns == 0 || now_ns().saturating_sub(last_ns) > GRACE_NS;
    // One at a time chooses; the others wait for what that brings.
    let chooses = is_time
        && last_kill_ns
            .compare_exchange(last_ns, now_ns().max(1), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
    if chooses && !choose() || is_dying() {
        return Relief::Die;
    }
    Waiter::new().wait_until(now_ns() + STEP_NS);
    Relief::Retry
}

/// Whether the machine as a whole has no memory left for users, or as good as none.
fn is_short() -> bool {
    let stats = ostd::mm::stats();
    stats.free <= stats.reserve + SLACK * ostd::cpu::count()
}

/// Makes room in a group for a call that can fail, ending processes there if it must.
///
/// # Errors
/// ENOMEM if there is none to be made, or the current thread is on its way out.
pub fn make_way_in(full: Full) -> Result<()> {
    for _ in 0..PATIENCE {
        if relieve_group(full) == Relief::Die {
            break;
        }
        if full.0.full().is_none() {
            return Ok(());
        }
    }
    Err(Errno::ENOMEM.into())
}

/// Ends processes of a group until it has no more than it may have.
pub fn shrink(account: Account) {
    let is_over = || account.counters().is_some_and(|counters| counters.pages() > counters.max());
    for _ in 0..PATIENCE {
        if !is_over() || relieve_group(Full(account)) == Relief::Die {
            return;
        }
    }
}

/// Ends the current process, which cannot go on without memory, if it is not on its way out already: nobody else was left to end.
pub fn give_up() {
    if let Some(thread) = Thread::current()
        && !thread.is_dying()
    {
        let _ = send::to_process(thread.process(), SigInfo::kernel(Signal::KILL));
    }
}

/// Waits as long as a page may cost a group that is past memory.high.
pub fn slow_down() {
    const PAUSE_NS: u64 = 1_000_000;
    let _ = wait::sleep_until(now_ns() + PAUSE_NS);
}

/// Waits before a system call until there is memory for the small things that it cannot be refused in the middle of. Called with nothing held.
#[cold]
pub fn make_way() -> Relief {
    for _ in 0..PATIENCE {
        if !ostd::mm::is_depleted() {
            return Relief::Retry;
        }
        if relieve_machine() == Relief::Die {
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

/// Ends the process whose end frees most, of a group and below or of all; `false` if there is none.
fn kill_worst(group: Option<&Arc<Cgroup>>) -> bool {
    let mut worst: Option<(i64, usize, Arc<Process>)> = None;
    table::for_each(|process| {
        let is_exempt = process.is_init()
            || i64::from(process.oom_score_adj.load(Ordering::Relaxed)) <= -FULL_SCORE
            || process.exit_status().is_some()
            || process.address_space().is_none();
        let is_meant = group.is_none_or(|group| process.cgroup.get().is_within(group));
        if !is_exempt && is_meant {
            let rank = (score(process), held_pages(process));
            if worst.as_ref().is_none_or(|(score, pages, _)| rank > (*score, *pages)) {
                worst = Some((rank.0, rank.1, process.clone()));
            }
        }
        true
    });
    let Some((score, pages, victim)) = worst else {
        log::error!("out of memory, and no process to end");
        return false;
    };
    let whose = if group.is_some() { " in a control group" } else { "" };
    log::warn!("out of memory{whose}: ended {}, score {score}, {} KiB", Who(&victim), pages * 4);
    // SIGKILL is never refused.
    let _ = send::to_process(&victim, SigInfo::kernel(Signal::KILL));
    count_victim(&victim, group);
    true
}

/// Books the end of `victim` in its group and above; ends those that end with it.
fn count_victim(victim: &Process, limited: Option<&Arc<Cgroup>>) {
    let own = victim.cgroup.get();
    own.memory.account().count(|events| &events.oom_kill);
    // The outermost group, up to the one that has no room, that ends as a whole.
    let mut together = None;
    for group in own.lineage() {
        if group.memory.ends_together.load(Ordering::Relaxed) {
            together = Some(group);
        }
        if limited.is_some_and(|limited| core::ptr::eq(group, Arc::as_ptr(limited))) {
            break;
        }
    }
    if let Some(group) = together {
        group.kill();
        group.memory.account().count(|events| &events.oom_group_kill);
    }
}
