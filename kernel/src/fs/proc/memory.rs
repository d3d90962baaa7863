//! /proc/meminfo, vmstat, swaps, and coffer/memory: what memory is used for.

use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::fs::vfs::{dentry_cache, mount};
use crate::mm::page_cache;
use crate::process::namespace::pid::PidNamespace;
use ostd::mm::PAGE_SIZE;

/// /proc/meminfo, as free(1) and its like read it.
pub fn show_meminfo(text: &mut Text) -> Result<()> {
    let memory = ostd::mm::stats();
    let cache = page_cache::stats();
    let cached = cache.in_memory + cache.backed;
    // Clean pages of files can be had back at once; the reserve cannot be had at all.
    let available =
        (memory.free + cache.backed - cache.dirty.min(cache.backed)).saturating_sub(memory.reserve);
    let used =
        memory.total.saturating_sub(memory.free + memory.heap + memory.page_tables + memory.stacks + cached);
    let rows = [
        ("MemTotal", memory.total),
        ("MemFree", memory.free),
        ("MemAvailable", available),
        ("Buffers", 0),
        ("Cached", cached),
        ("SwapCached", 0),
        ("Active", used + cached),
        ("Inactive", 0),
        ("Active(anon)", used + cache.in_memory),
        ("Inactive(anon)", 0),
        ("Active(file)", cache.backed),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", cache.dirty),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", 0),
        ("Shmem", cache.in_memory),
        ("KReclaimable", 0),
        ("Slab", memory.heap),
        ("SReclaimable", 0),
        ("SUnreclaim", memory.heap),
    ];
    let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
    for (name, pages) in rows {
        line(text, name, kib(pages));
    }
    line(text, "KernelStack", kib(memory.stacks));
    line(text, "PageTables", kib(memory.page_tables));
    line(text, "CommitLimit", kib(memory.total));
    line(text, "Committed_AS", kib(used + cache.in_memory));
    line(text, "VmallocTotal", 0);
    line(text, "VmallocUsed", 0);
    line(text, "VmallocChunk", 0);
    Ok(())
}

fn line(text: &mut Text, name: &str, kib: usize) {
    let start = text.len();
    text.add(format_args!("{name}:"));
    text.pad(start, 16);
    text.add(format_args!("{kib:>8} kB\n"));
}

/// /proc/vmstat: the counters that we have.
pub fn show_vmstat(text: &mut Text) -> Result<()> {
    let memory = ostd::mm::stats();
    let cache = page_cache::stats();
    text.add(format_args!("nr_free_pages {}\n", memory.free));
    text.add(format_args!("nr_file_pages {}\n", cache.in_memory + cache.backed));
    text.add(format_args!("nr_dirty {}\n", cache.dirty));
    text.add(format_args!("nr_shmem {}\n", cache.in_memory));
    text.add(format_args!("nr_page_table_pages {}\n", memory.page_tables));
    text.add(format_args!("pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"));
    Ok(())
}

/// /proc/swaps: nothing but its heading.
pub fn show_swaps(text: &mut Text) -> Result<()> {
    text.bytes(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    Ok(())
}

/// /proc/coffer/memory: counters by name. What stays after work is done, and grows each time it is done, leaks.
pub fn show_counters(text: &mut Text) -> Result<()> {
    let memory = ostd::mm::stats();
    let cache = page_cache::stats();
    let rows = [
        ("frames", memory.total),
        ("frames_free", memory.free),
        ("frames_heap", memory.heap),
        ("frames_page_tables", memory.page_tables),
        ("frames_stacks", memory.stacks),
        ("frames_reserve", memory.reserve),
        ("pages_in_memory_files", cache.in_memory),
        ("pages_backed_files", cache.backed),
        ("pages_dirty", cache.dirty),
        ("dentries", dentry_cache::alive()),
        ("mounts", mount::alive()),
        ("pids", PidNamespace::initial().len()),
    ];
    for (name, count) in rows {
        text.add(format_args!("{name} {count}\n"));
    }
    Ok(())
}
