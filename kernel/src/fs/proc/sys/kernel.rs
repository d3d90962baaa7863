//! /proc/sys/kernel.

use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Text};
use crate::ipc::{msg, sem, shm};
use crate::process::namespace::Namespaces;
use crate::process::namespace::pid::PID_MAX;
use crate::process::table;
use crate::release;
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The longest host name (uname(2)).
const NAME_MAX: usize = 64;
/// The most groups of a process (setgroups(2)).
const GROUPS_MAX: u32 = 65536;
/// The last capability that we know (capabilities(7)).
const LAST_CAPABILITY: u32 = 40;

/// Fills the directory.
pub fn fill(kernel: &Directory) {
    kernel.text("ostype", |text| line(text, release::SYSTEM));
    kernel.text("osrelease", |text| line(text, release::RELEASE));
    kernel.text("version", |text| line(text, release::VERSION));
    kernel.setting("hostname", show_host, |name| store_name(name, |ns, name| ns.uts.set_host(name)));
    kernel.setting("domainname", show_domain, |name| store_name(name, |ns, name| ns.uts.set_domain(name)));
    kernel.text("pid_max", |text| line(text, PID_MAX));
    kernel.text("threads-max", |text| line(text, table::threads_max()));
    kernel.text("ngroups_max", |text| line(text, GROUPS_MAX));
    kernel.text("cap_last_cap", |text| line(text, LAST_CAPABILITY));
    kernel.text("overflowuid", |text| line(text, 65534));
    kernel.text("overflowgid", |text| line(text, 65534));
    // No cores are written: the pattern is empty, as RLIMIT_CORE 0 would have it.
    kernel.text("core_pattern", |text| line(text, ""));
    kernel.text("core_uses_pid", |text| line(text, 0));
    kernel.text("printk", |text| line(text, "6\t4\t1\t7"));
    kernel.text("dmesg_restrict", |text| line(text, 1));
    kernel.text("kptr_restrict", |text| line(text, 2));
    kernel.text("perf_event_paranoid", |text| line(text, 4));
    kernel.text("randomize_va_space", |text| line(text, 2));
    kernel.text("panic", |text| line(text, 0));
    kernel.text("tainted", |text| line(text, 0));
    kernel.text("shmmax", |text| line(text, shm::SHMMAX));
    kernel.text("shmall", |text| line(text, shm::SHMMAX));
    kernel.text("shmmni", |text| line(text, shm::SHMMNI));
    kernel.text("sem", |text| {
        line(text, format_args!("{}\t1024000000\t{}\t{}", sem::SEMMSL, sem::SEMOPM, sem::SEMMNI))
    });
    kernel.text("msgmax", |text| line(text, msg::MSGMAX));
    kernel.text("msgmnb", |text| line(text, msg::MSGMNB));
    kernel.text("msgmni", |text| line(text, msg::MSGMNI));
    let seccomp = kernel.subdirectory("seccomp");
    seccomp.text("actions_avail", |text| line(text, "kill_process kill_thread trap errno trace log allow"));
    kernel.text("sched_rr_timeslice_ms", |text| line(text, 100));
}

/// A setting's line.
pub(super) fn line(text: &mut Text, value: impl core::fmt::Display) -> Result<()> {
    text.add(format_args!("{value}\n"));
    Ok(())
}

fn own_namespaces() -> Result<Arc<Namespaces>> {
    Thread::current().ok_or(Errno::ESRCH)?.namespaces()
}

fn show_host(text: &mut Text) -> Result<()> {
    text.bytes(&own_namespaces()?.uts.host());
    text.bytes(b"\n");
    Ok(())
}

fn show_domain(text: &mut Text) -> Result<()> {
    text.bytes(&own_namespaces()?.uts.domain());
    text.bytes(b"\n");
    Ok(())
}

fn store_name(bytes: &[u8], set: fn(&Namespaces, Vec<u8>)) -> Result<()> {
    let name = bytes.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default();
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL.into());
    }
    set(&*own_namespaces()?, name.to_vec());
    Ok(())
}
