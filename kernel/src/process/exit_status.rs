//! How a process ended, and the number that wait4(2) gives for it.

use crate::signal::Signal;

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By exit(2) with this code.
    Exited(u8),
    /// By a signal.
    Killed(Signal),
}

impl ExitStatus {
    /// As wait4(2) encodes it.
    pub fn to_wait_status(self) -> i32 {
        match self {
            Self::Exited(code) => i32::from(code) << 8,
            Self::Killed(signal) => signal.number(),
        }
    }
}
