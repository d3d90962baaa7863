//! CPUs: their numbers, sets of them, and values that each has its own copy of.

#[cfg(target_os = "none")]
pub(crate) mod local;

use crate::task::PreemptGuard;
use alloc::boxed::Box;

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
    todo!()
}

/// The CPU that we are on; the guard keeps us there.
pub fn current(_pinned: &PreemptGuard) -> CpuId {
    todo!()
}

/// The CPU that we were on a moment ago: good for statistics and placement hints only.
pub fn current_racy() -> CpuId {
    todo!()
}

/// Starts the other CPUs; each enters the idle task and takes work from the scheduler. Call once, after
/// [`crate::task::set_scheduler`]. Returns how many CPUs are online.
pub fn start_others() -> usize {
    todo!()
}

/// What /proc/cpuinfo shows.
#[derive(Clone, Debug)]
pub struct CpuInfo {
    /// CPUID leaf 0's vendor.
    pub vendor: [u8; 12],
    /// CPUID brand string, zero-padded.
    pub brand: [u8; 48],
    /// Family, model, stepping as displayed.
    pub family: u32,
    /// Model.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// (leaf, subleaf, register 0..4=eax..edx, bit, name) flags present, as Linux names them.
    pub flags: &'static [&'static str],
    /// TSC frequency in Hz.
    pub tsc_hz: u64,
}

/// The boot CPU's description.
pub fn info() -> CpuInfo {
    todo!()
}

/// The AT_HWCAP value (CPUID leaf 1 EDX) for the auxiliary vector.
pub fn hwcap() -> u64 {
    todo!()
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
