//! The files of the memory controller. Sizes are bytes, in whole pages; `max` is no limit.

use super::table::{Taken, line, number};
use crate::cgroup::Cgroup;
use crate::error::{Errno, Result};
use crate::fs::synthetic::Text;
use crate::mm::account::Counters;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use ostd::mm::PAGE_SIZE;

fn counters(cgroup: &Cgroup) -> Result<&'static Counters> {
    cgroup.memory.counters().ok_or(Errno::ENODEV.into())
}

fn show_pages(text: &mut Text, pages: usize) -> Result<()> {
    if pages == usize::MAX { line(text, "max") } else { line(text, pages.saturating_mul(PAGE_SIZE)) }
}

/// A size with the suffixes that the kernel's parameters have (`K`, `M`, `G` …), in whole pages; or `max`.
fn pages(word: &str) -> Result<usize> {
    if word == "max" {
        return Ok(usize::MAX);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &word[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return Err(Errno::EINVAL.into()),
    };
    let bytes = digits.parse::<u64>().map_err(|_| Errno::EINVAL)?.saturating_mul(1 << shift);
    // More than there can be is no limit.
    Ok(if bytes >= i64::MAX as u64 { usize::MAX } else { bytes as usize / PAGE_SIZE })
}

pub fn show_current(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, counters(cgroup)?.pages())
}

pub fn show_peak(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, counters(cgroup)?.peak())
}

pub fn show_max(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, counters(cgroup)?.max())
}

pub fn store_max(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.set_memory_max(pages(taken.word)?);
    Ok(())
}

pub fn show_high(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, counters(cgroup)?.high())
}

pub fn store_high(taken: &Taken<'_>) -> Result<()> {
    counters(taken.cgroup)?.set_high(pages(taken.word)?);
    Ok(())
}

pub fn show_low(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, cgroup.memory.protection[0].load(Ordering::Relaxed))
}

pub fn store_low(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.memory.protection[0].store(pages(taken.word)?, Ordering::Relaxed);
    Ok(())
}

pub fn show_min(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    show_pages(text, cgroup.memory.protection[1].load(Ordering::Relaxed))
}

pub fn store_min(taken: &Taken<'_>) -> Result<()> {
    taken.cgroup.memory.protection[1].store(pages(taken.word)?, Ordering::Relaxed);
    Ok(())
}

pub fn show_oom_group(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, u8::from(cgroup.memory.ends_together.load(Ordering::Relaxed)))
}

pub fn store_oom_group(taken: &Taken<'_>) -> Result<()> {
    let ends_together = match number(taken.word)? {
        0 => false,
        1 => true,
        _ => return Err(Errno::EINVAL.into()),
    };
    taken.cgroup.memory.ends_together.store(ends_together, Ordering::Relaxed);
    Ok(())
}

pub fn show_events(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let events = &counters(cgroup)?.events;
    let rows = [
        ("high", &events.high),
        ("max", &events.max),
        ("oom", &events.oom),
        ("oom_kill", &events.oom_kill),
        ("oom_group_kill", &events.oom_group_kill),
    ];
    text.bytes(b"low 0\n");
    for (name, count) in rows {
        text.add(format_args!("{name} {}\n", count.load(Ordering::Relaxed)));
    }
    Ok(())
}

/// What is not counted by kind is zero.
pub fn show_stat(cgroup: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    let counters = counters(cgroup)?;
    let files = counters.file_pages();
    let anonymous = counters.pages().saturating_sub(files);
    let rows = [
        ("anon", anonymous),
        ("file", files),
        ("kernel", 0),
        ("kernel_stack", 0),
        ("pagetables", 0),
        ("sock", 0),
        ("shmem", files),
        ("file_mapped", 0),
        ("file_dirty", 0),
        ("file_writeback", 0),
        ("inactive_anon", 0),
        ("active_anon", anonymous + files),
        ("inactive_file", 0),
        ("active_file", 0),
        ("unevictable", 0),
        ("slab_reclaimable", 0),
        ("slab_unreclaimable", 0),
        ("slab", 0),
    ];
    for (name, pages) in rows {
        text.add(format_args!("{name} {}\n", pages * PAGE_SIZE));
    }
    text.bytes(b"pgfault 0\npgmajfault 0\n");
    Ok(())
}

/// There is no swap.
pub fn show_no_swap(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, 0)
}

pub fn show_swap_events(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    text.bytes(b"high 0\nmax 0\nfail 0\n");
    Ok(())
}

pub fn show_swap_max(_: &Arc<Cgroup>, text: &mut Text) -> Result<()> {
    line(text, "max")
}

/// Any limit holds: there is nothing to be limited.
pub fn store_swap_max(taken: &Taken<'_>) -> Result<()> {
    pages(taken.word).map(drop)
}
