//! The memory controller: how many pages the processes of a group and below have touched first, and how many they may.
//!
//! [`Account`] counts. What is counted are pages of anonymous memory and of files that are in memory only; pages of files on disks can be taken
//! back at any time and are not. When a group has no room left, a process in it or below is ended
//! ([`crate::mm::oom`]).

use super::{Bell, Cgroup};
use crate::error::{Errno, Result};
use crate::mm::account::{Account, Counters};
use crate::mm::oom;
use crate::process::Process;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a group has of it.
#[derive(Debug, Default)]
pub struct Memory {
    account: Account,
    /// memory.low and memory.min: kept, but as nothing is taken back from a group, there is nothing to protect it from.
    pub protection: [AtomicUsize; 2],
    /// When a process has to end, all do (memory.oom.group).
    pub ends_together: AtomicBool,
    /// Rings when what `memory.events` says changes.
    pub events: Bell,
}

impl Memory {
    /// For a group below that of `parent`.
    ///
    /// # Errors
    /// ENOSPC if there are as many groups as can be counted.
    pub(super) fn below(parent: &Self) -> Result<Self> {
        let account = parent.account.open_below().ok_or(Errno::ENOSPC)?;
        let mut memory = Self::default();
        memory.account = account;
        Ok(memory)
    }

    /// Who pays for what its processes touch.
    pub fn account(&self) -> Account {
        self.account
    }

    /// What was counted; `None` for the root.
    pub fn counters(&self) -> Option<&'static Counters> {
        self.account.counters()
    }

    /// Back to no limits: the controller was turned off.
    pub(super) fn forget_settings(&self) {
        if let Some(counters) = self.counters() {
            counters.set_max(usize::MAX);
            counters.set_high(usize::MAX);
        }
        self.protection.iter().for_each(|pages| pages.store(0, Ordering::Relaxed));
        self.ends_together.store(false, Ordering::Relaxed);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.account.close();
    }
}

impl Cgroup {
    /// Sets memory.max; ends processes until what there is fits, or nobody is left.
    pub fn set_memory_max(&self, pages: usize) {
        let Some(counters) = self.memory.counters() else { return };
        counters.set_max(pages);
        oom::shrink(self.memory.account());
    }

    /// Whether it is `other` or below.
    pub fn is_within(&self, other: &Self) -> bool {
        self.lineage().any(|group| core::ptr::eq(group, other))
    }

    /// Tells that what `memory.events` says has changed, here and above.
    pub fn tell_memory_events(&self) {
        for group in self.lineage().filter(|group| group.parent().is_some()) {
            group.tell(&group.memory.events, "memory.events");
        }
    }
}

/// Has `process` pay from its group's account from now on. What it has touched already stays where it was counted.
pub(super) fn follow(process: &Process, cgroup: &Arc<Cgroup>) {
    if let Some(space) = process.address_space() {
        space.set_account(cgroup.memory.account());
    }
}
