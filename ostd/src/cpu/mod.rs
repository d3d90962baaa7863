//! CPUs: their numbers, sets of them, and values that each has its own copy of.

mod info;
#[cfg(target_os = "none")]
pub(crate) mod local;

pub use info::{CpuInfo, hwcap, info};

use crate::task::PreemptGuard;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The most CPUs that we run on.
pub const MAX_CPUS: usize = 64;

/// A CPU's number: 0 is the boot CPU, dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub(crate) u32);

impl CpuId {
    /// As an index into per-CPU tables.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }

    /// The `index`th CPU, if it is online.
    pub fn new(index: usize) -> Option<Self> {
        (index < count()).then_some(Self(index as u32))
    }
}

/// How many CPUs are online.
pub fn count() -> usize {
    ONLINE.load(Ordering::Acquire)
}

static ONLINE: AtomicUsize = AtomicUsize::new(1);

/// Counts one more CPU in, the one with the next number.
#[cfg(target_os = "none")]
pub(crate) fn add_online() {
    ONLINE.fetch_add(1, Ordering::AcqRel);
}

/// The CPU that we are on; the guard keeps us there.
pub fn current(_pinned: &PreemptGuard) -> CpuId {
    current_racy()
}

/// The CPU that we were on a moment ago: good for statistics and placement hints only.
pub fn current_racy() -> CpuId {
    #[cfg(target_os = "none")]
    return local::id();
    #[cfg(not(target_os = "none"))]
    CpuId(0)
}

/// Starts the other CPUs; each enters the idle task and takes work from the scheduler. Call once, after
/// [`crate::task::set_scheduler`]. Returns how many CPUs are online.
pub fn start_others() -> usize {
    #[cfg(target_os = "none")]
    crate::arch::smp::start_others();
    count()
}

/// One value for each possible CPU, each on its own cache lines.
#[derive(Debug)]
pub struct PerCpu<T>(Box<[Padded<T>]>);

#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T> PerCpu<T> {
    /// Makes the values by calling `init` for each of [`MAX_CPUS`].
    pub fn new(init: impl FnMut(usize) -> T) -> Self {
        Self((0..MAX_CPUS).map(init).map(Padded).collect())
    }

    /// This CPU's value.
    pub fn get<'a>(&'a self, pinned: &'a PreemptGuard) -> &'a T {
        &self.0[current(pinned).as_usize()].0
    }

    /// Some CPU's value; the type is `Sync` where it matters, as for any shared reference.
    pub fn on(&self, cpu: CpuId) -> &T {
        &self.0[cpu.as_usize()].0
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|p| &p.0)
    }
}
