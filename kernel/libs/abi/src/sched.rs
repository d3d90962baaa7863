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

#[expect(
    missing_docs,
    reason = "the names of sched_setscheduler(2), sched_setattr(2), getpriority(2), ioprio_set(2) and membarrier(2)"
)]
mod names {
    pub const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;
    pub const SCHED_DEADLINE: u32 = 6;
    pub const SCHED_FLAG_RESET_ON_FORK: u64 = 1;
    pub const PRIO_PROCESS: u32 = 0;
    pub const PRIO_PGRP: u32 = 1;
    pub const PRIO_USER: u32 = 2;
    pub const IOPRIO_WHO_PROCESS: u32 = 1;
    pub const IOPRIO_CLASS_SHIFT: u32 = 13;
    pub const IOPRIO_CLASS_NONE: u32 = 0;
    pub const IOPRIO_CLASS_RT: u32 = 1;
    pub const IOPRIO_CLASS_BE: u32 = 2;
    pub const IOPRIO_CLASS_IDLE: u32 = 3;
    pub const MEMBARRIER_CMD_QUERY: u32 = 0;
    pub const MEMBARRIER_CMD_GLOBAL: u32 = 1;
    pub const MEMBARRIER_CMD_GLOBAL_EXPEDITED: u32 = 2;
    pub const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: u32 = 4;
    pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED: u32 = 8;
    pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: u32 = 16;
    pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 32;
    pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 64;
}
pub use names::*;
