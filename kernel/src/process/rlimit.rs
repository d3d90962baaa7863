//! Resource limits (getrlimit(2)).

use coffer_abi_types::process::rlimit64;

/// No limit.
pub const INFINITY: u64 = u64::MAX;

/// A resource's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(dead_code, reason = "the list is complete, whoever uses it")]
pub enum Resource {
    Cpu = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    ResidentSet = 5,
    Processes = 6,
    OpenFiles = 7,
    LockedMemory = 8,
    AddressSpace = 9,
    Locks = 10,
    PendingSignals = 11,
    MessageQueues = 12,
    Nice = 13,
    RealTimePriority = 14,
    RealTimeTime = 15,
}

/// How many resources there are.
pub const COUNT: usize = 16;

/// The limits of a process, by resource number.
pub type Limits = [rlimit64; COUNT];

const fn limit(cur: u64, max: u64) -> rlimit64 {
    rlimit64 { rlim_cur: cur, rlim_max: max }
}

/// What the first process starts with: Linux's values for a machine of a few gigabytes.
pub const INITIAL: Limits = [
    limit(INFINITY, INFINITY),
    limit(INFINITY, INFINITY),
    limit(INFINITY, INFINITY),
    limit(8 << 20, INFINITY),
    limit(0, INFINITY),
    limit(INFINITY, INFINITY),
    limit(INFINITY, INFINITY),
    limit(1024, 1 << 20),
    limit(8 << 20, 8 << 20),
    limit(INFINITY, INFINITY),
    limit(INFINITY, INFINITY),
    limit(15_000, 15_000),
    limit(819_200, 819_200),
    limit(0, 0),
    limit(0, 0),
    limit(INFINITY, INFINITY),
];
