//! Using all the memory there is: the process that asks fails or is ended; the machine goes on.
//!
//! These run only in the initramfs: on a developer's machine they would end something else.

use std::fs::File;
use std::io::Write;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::Mapping;
use crate::case::{Outcome, cases, check, skip};
use crate::child;

cases!("memory":
    a_process_that_takes_all_memory_is_refused_or_ended,
    a_tmpfs_that_takes_all_memory_is_refused,
    too_many_processes_are_refused_and_can_be_ended,
);

/// Whether this binary is the machine's init, so that there is nothing else to harm.
pub fn is_alone() -> bool {
    let own = std::fs::read_link("/proc/self/exe").ok();
    own.is_some() && std::fs::read_link("/proc/1/exe").ok() == own
}

pub fn free_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Memory that a child has left is back, give or take what caches keep.
pub fn memory_is_back(before: u64) -> Outcome {
    child::until("free memory is back", || Ok(free_kib() + 32 * 1024 > before))
}

fn a_process_that_takes_all_memory_is_refused_or_ended() -> Outcome {
    if !is_alone() {
        skip!("not in an initramfs of its own");
    }
    let before = free_kib();
    let child = child::fork(|| {
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let mut taken = Vec::new();
        loop {
            match Mapping::anonymous(16 << 20) {
                Ok(mapping) => {
                    mapping.touch(1);
                    taken.push(mapping);
                }
                Err(error) => return if error == nix::errno::Errno::ENOMEM { 12 } else { 1 },
            }
        }
    })?;
    let status = child.wait()?;
    let is_fine = matches!(
        status,
        WaitStatus::Exited(_, 12) | WaitStatus::Signaled(_, Signal::SIGKILL | Signal::SIGBUS, _)
    );
    check!(is_fine, "{status:?}");
    memory_is_back(before)
}

fn a_tmpfs_that_takes_all_memory_is_refused() -> Outcome {
    if !is_alone() {
        skip!("not in an initramfs of its own");
    }
    let before = free_kib();
    let child = child::fork(|| {
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let Ok(mut file) = File::create("/tmp/full") else { return 1 };
        let block = vec![1_u8; 1 << 20];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::ENOMEM)) => return 12,
                Err(_) => return 2,
            }
        }
    })?;
    let status = child.wait()?;
    std::fs::remove_file("/tmp/full")?;
    let is_fine = matches!(status, WaitStatus::Exited(_, 12) | WaitStatus::Signaled(_, Signal::SIGKILL, _));
    check!(is_fine, "{status:?}");
    memory_is_back(before)
}

fn too_many_processes_are_refused_and_can_be_ended() -> Outcome {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NPROC, 40, 40)?;
    nix::unistd::setuid(nix::unistd::Uid::from_raw(4321))?;
    let mut children = Vec::new();
    let error = loop {
        match child::fork(|| {
            nix::unistd::pause();
            0
        }) {
            Ok(child) => children.push(child),
            Err(error) => break error,
        }
        check!(children.len() < 100, "no limit was enforced");
    };
    check!(error == nix::errno::Errno::EAGAIN, "{error}");
    for child in &children {
        child.kill(Signal::SIGKILL)?;
        child.wait()?;
    }
    Ok(())
}
