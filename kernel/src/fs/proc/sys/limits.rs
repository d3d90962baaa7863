//! /proc/sys/vm, fs and net: limits of the machine.

use super::kernel::line;
use super::{Number, parse};
use crate::error::{Errno, Result};
use crate::event::aio;
use crate::fs::synthetic::{Directory, Text};
use crate::fs::vfs::dentry_cache;
use crate::ipc::mq;
use crate::mm::layout::MIN_ADDRESS;
use crate::mm::limits::MAX_AREAS;
use crate::mm::reclaim;
use core::sync::atomic::AtomicU64;
use ostd::mm::PAGE_SIZE;

/// The highest limit of open files that a process can have (RLIMIT_NOFILE).
const NR_OPEN: u64 = 1 << 20;
/// Files of all processes together: only memory bounds them.
const FILE_MAX: u64 = i64::MAX as u64;

// Policies that Linux has and we do not: kept, so that those who set them at boot find what they wrote.
static OVERCOMMIT_MEMORY: AtomicU64 = AtomicU64::new(0);
static OVERCOMMIT_RATIO: AtomicU64 = AtomicU64::new(50);
static SWAPPINESS: AtomicU64 = AtomicU64::new(60);
static PANIC_ON_OOM: AtomicU64 = AtomicU64::new(0);

/// Fills vm, fs and net.
pub fn fill(sys: &Directory) {
    let vm = sys.subdirectory("vm");
    let policies = [
        ("overcommit_memory", &OVERCOMMIT_MEMORY, 2),
        ("overcommit_ratio", &OVERCOMMIT_RATIO, 100),
        ("swappiness", &SWAPPINESS, 200),
        ("panic_on_oom", &PANIC_ON_OOM, 2),
    ];
    for (name, value, max) in policies {
        vm.file(name, 0o644, Number { value, max });
    }
    vm.text("max_map_count", |text| line(text, MAX_AREAS));
    vm.text("mmap_min_addr", |text| line(text, MIN_ADDRESS));
    vm.text("nr_hugepages", |text| line(text, 0));
    vm.text("min_free_kbytes", |text| line(text, ostd::mm::stats().reserve * (PAGE_SIZE / 1024)));
    vm.setting("drop_caches", |text| line(text, 0), drop_caches);

    let fs = sys.subdirectory("fs");
    fs.text("file-max", |text| line(text, FILE_MAX));
    fs.text("nr_open", |text| line(text, NR_OPEN));
    fs.text("aio-max-nr", |text| line(text, aio::EVENTS_MAX));
    fs.text("aio-nr", |text| line(text, aio::event_count()));
    fs.text("pipe-max-size", |text| line(text, 1 << 20));
    fs.text("pipe-user-pages-soft", |text| line(text, 16384));
    fs.text("pipe-user-pages-hard", |text| line(text, 0));
    fs.text("mount-max", |text| line(text, 100_000));
    fs.text("overflowuid", |text| line(text, 65534));
    fs.text("overflowgid", |text| line(text, 65534));
    // Link and FIFO protections in sticky directories (proc_sys_fs(5)) are not there.
    for name in ["protected_symlinks", "protected_hardlinks", "protected_fifos", "protected_regular"] {
        fs.text(name, |text| line(text, 0));
    }
    fs.text("suid_dumpable", |text| line(text, 0));
    fs.text("dentry-state", show_dentries);
    let mqueue = fs.subdirectory("mqueue");
    mqueue.text("msg_default", |text| line(text, mq::MESSAGES_DEFAULT));
    mqueue.text("msg_max", |text| line(text, mq::MESSAGES_DEFAULT));
    mqueue.text("msgsize_default", |text| line(text, mq::SIZE_DEFAULT));
    mqueue.text("msgsize_max", |text| line(text, mq::SIZE_DEFAULT));
    mqueue.text("queues_max", |text| line(text, mq::QUEUES_MAX));
    let inotify = fs.subdirectory("inotify");
    inotify.text("max_user_instances", |text| line(text, 128));
    inotify.text("max_user_watches", |text| line(text, 65536));
    inotify.text("max_queued_events", |text| line(text, 16384));

    let net = sys.subdirectory("net").subdirectory("core");
    net.text("somaxconn", |text| line(text, 4096));
}

fn show_dentries(text: &mut Text) -> Result<()> {
    text.add(format_args!("{}\t0\t45\t0\t0\t0\n", dentry_cache::alive()));
    Ok(())
}

/// 1: pages of files, 2: names, 3: both.
fn drop_caches(bytes: &[u8]) -> Result<()> {
    let what: u32 = parse(bytes)?;
    if !(1..=4).contains(&what) {
        return Err(Errno::EINVAL.into());
    }
    if what & 2 != 0 {
        dentry_cache::shrink(usize::MAX);
    }
    if what & 1 != 0 {
        // Each round frees a batch; readers who bring pages back at once must not keep us here.
        let rounds = ostd::mm::stats().total / 64;
        (0..rounds).take_while(|_| reclaim::make_room() > 0).for_each(drop);
    }
    Ok(())
}
