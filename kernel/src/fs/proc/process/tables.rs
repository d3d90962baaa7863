//! /proc/PID/limits, mounts, mountinfo, mountstats and cgroup: tables about a process.

use super::Subject;
use crate::cgroup::CgroupNamespace;
use crate::error::{Errno, Result};
use crate::fs::synthetic::Text;
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::mount_report;
use crate::fs::vfs::place::Path;
use crate::process::rlimit::INFINITY;
use crate::thread::Thread;
use alloc::vec::Vec;

/// Names and units of the limits, by number.
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

/// /proc/PID/limits.
pub fn show_limits(subject: &Subject, text: &mut Text) -> Result<()> {
    let limits = subject.process()?.limits();
    text.add(format_args!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units"));
    for ((name, unit), limit) in LIMITS.iter().zip(limits) {
        text.add(format_args!("{name:<25}"));
        for value in [limit.rlim_cur, limit.rlim_max] {
            match value {
                INFINITY => text.add(format_args!(" {:<20}", "unlimited")),
                value => text.add(format_args!(" {value:<20}")),
            }
        }
        text.add(format_args!(" {unit:<10}\n"));
    }
    Ok(())
}

/// /proc/PID/cgroup: its group in the one hierarchy, as the reader's namespace sees it.
pub fn show_cgroup(subject: &Subject, text: &mut Text) -> Result<()> {
    let cgroup = subject.process()?.cgroup.get();
    let reader = Thread::current().and_then(|thread| thread.namespaces().ok());
    let namespace = reader.map_or_else(|| CgroupNamespace::initial().clone(), |all| all.cgroup.clone());
    text.bytes(b"0::");
    text.bytes(&cgroup.path_from(namespace.root()));
    text.bytes(b"\n");
    Ok(())
}

/// /proc/PID/mounts.
pub fn show_mounts(subject: &Subject, text: &mut Text) -> Result<()> {
    show(subject, text, mount_report::mounts)
}

/// /proc/PID/mountinfo.
pub fn show_mountinfo(subject: &Subject, text: &mut Text) -> Result<()> {
    show(subject, text, mount_report::mountinfo)
}

/// /proc/PID/mountstats.
pub fn show_mountstats(subject: &Subject, text: &mut Text) -> Result<()> {
    show(subject, text, mount_report::mountstats)
}

fn show(subject: &Subject, text: &mut Text, table: fn(&MountNs, &Path) -> Vec<u8>) -> Result<()> {
    let around = subject.surroundings()?.ok_or(Errno::EINVAL)?;
    text.bytes(&table(&around.namespaces.mount, &around.place.root()));
    Ok(())
}
