//! Scheduling (sched_setattr(2), sched_setaffinity(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Attributes of a thread, first version (48 bytes).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of sched_setattr(2)")]
pub struct sched_attr {
    pub size: u32,
    pub sched_policy: u32,
    pub sched_flags: u64,
    pub sched_nice: i32,
    pub sched_priority: u32,
    pub sched_runtime: u64,
    pub sched_deadline: u64,
    pub sched_period: u64,
}

crate::assert_sizes! { sched_attr = 48, }

#[expect(missing_docs, reason = "the names of sched_setscheduler(2), sched_setattr(2) and getpriority(2)")]
mod names {
    pub const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;
    pub const SCHED_DEADLINE: u32 = 6;
    pub const SCHED_FLAG_RESET_ON_FORK: u64 = 1;
    pub const PRIO_PROCESS: u32 = 0;
    pub const PRIO_PGRP: u32 = 1;
    pub const PRIO_USER: u32 = 2;
}
pub use names::*;
