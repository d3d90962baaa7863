//! What a process may take (getrlimit(2)): the limits that concern memory, read when an operation begins.

use super::address_space::Areas;
use crate::error::{Errno, Error, Result};
use crate::process::Process;
use crate::process::credentials::Capability;
use crate::process::rlimit::Resource;
use ostd::mm::PAGE_SIZE;

/// Soft limits in bytes, and whether RLIMIT_MEMLOCK binds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// RLIMIT_AS.
    pub address_space: u64,
    /// RLIMIT_DATA.
    pub data: u64,
    /// RLIMIT_STACK.
    pub stack: u64,
    /// RLIMIT_MEMLOCK; unlimited with CAP_IPC_LOCK.
    pub locked: u64,
    /// CAP_SYS_RAWIO: may name addresses below [`super::layout::MIN_ADDRESS`].
    pub may_map_low: bool,
}

/// No limit (RLIM_INFINITY).
const INFINITY: u64 = u64::MAX;

/// The most areas of a process (vm.max_map_count).
pub const MAX_AREAS: usize = 65530;

impl Limits {
    /// What binds the kernel itself when it sets up a program: nothing but the stack.
    pub const fn none(stack: u64) -> Self {
        Self { address_space: INFINITY, data: INFINITY, stack, locked: INFINITY, may_map_low: false }
    }

    /// Those of `process` now.
    pub fn of(process: &Process) -> Self {
        let credentials = process.credentials();
        let limit = |resource| process.rlimit(resource).0;
        Self {
            address_space: limit(Resource::AddressSpace),
            data: limit(Resource::Data),
            stack: limit(Resource::Stack),
            locked: if credentials.has(Capability::IpcLock) {
                INFINITY
            } else {
                limit(Resource::LockedMemory)
            },
            may_map_low: credentials.has(Capability::SysRawio),
        }
    }
}

/// Refuses `pages` more that break RLIMIT_AS, of which `data` count for RLIMIT_DATA (private and writable, not stacks).
pub(super) fn check_room(areas: &Areas, pages: usize, data: usize, limits: &Limits) -> Result<()> {
    let over = |used: usize, more: usize, limit: u64| {
        more > 0 && (used as u64).saturating_add(more as u64).saturating_mul(PAGE_SIZE as u64) > limit
    };
    if over(areas.counts.total, pages, limits.address_space) {
        return Err(Error::with(Errno::ENOMEM, "address space is larger than RLIMIT_AS"));
    }
    if over(areas.counts.data, data, limits.data) {
        return Err(Error::with(Errno::ENOMEM, "data is larger than RLIMIT_DATA"));
    }
    Ok(())
}

/// The heuristic of vm.overcommit_memory=0: what could not be there even if the process had the machine for itself is refused.
pub(super) fn check_commit(pages: usize) -> Result<()> {
    /// 64 MiB: less than this any machine has, so there is no need to count what it has.
    const SMALL: usize = 16384;
    if pages > SMALL && pages > ostd::mm::stats().total || ostd::mm::is_exhausted() {
        return Err(Error::with(Errno::ENOMEM, "more than there is memory"));
    }
    Ok(())
}

/// Refuses `pages` more locked ones: EPERM without any right to lock, else `over`.
pub(super) fn check_locked(areas: &Areas, pages: usize, limits: &Limits, over: Errno) -> Result<()> {
    if pages == 0 {
        return Ok(());
    }
    if limits.locked == 0 {
        return Err(Errno::EPERM.into());
    }
    let wanted = (areas.counts.locked as u64 + pages as u64).saturating_mul(PAGE_SIZE as u64);
    if wanted > limits.locked { Err(over.into()) } else { Ok(()) }
}
