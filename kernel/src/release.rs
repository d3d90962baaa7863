//! Which Linux we are, as programs ask: uname(2), /proc/version, /proc/sys/kernel.

/// `sysname`.
pub const SYSTEM: &str = "Linux";
/// `release`: the Linux whose ABI we follow; glibc and others refuse to run on one that they think too old.
pub const RELEASE: &str = "6.12.0-coffer";
/// `version`.
pub const VERSION: &str = concat!("#1 SMP PREEMPT Coffer ", env!("CARGO_PKG_VERSION"));
/// `machine`.
pub const MACHINE: &str = "x86_64";
