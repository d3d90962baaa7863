//! Power off and restart, by the fixed ACPI registers (no AML), with a status that tests can tell.

/// Why the machine goes down. With `coffer.debug_exit=PORT` on the command line (QEMU's isa-debug-exit) the host sees
/// the value as exit status `value << 1 | 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// An orderly shutdown.
    Clean = 0x10,
    /// A kernel panic.
    Panic = 0x20,
}

#[cfg(target_os = "none")]
pub(crate) use crate::arch::power::die;
#[cfg(target_os = "none")]
pub use crate::arch::power::{off, restart};

/// Powers the machine off.
#[cfg(not(target_os = "none"))]
pub fn off(exit: Exit) -> ! {
    panic!("power off: {exit:?}")
}

/// Restarts the machine.
#[cfg(not(target_os = "none"))]
pub fn restart() -> ! {
    panic!("restart")
}
