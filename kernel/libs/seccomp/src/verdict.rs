//! [`Verdict`]: what a filter's result means.

/// What is to become of a call. The 16 bits come from the filter (`SECCOMP_RET_DATA`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The process ends; also what results that nobody knows mean.
    KillProcess,
    /// The thread ends.
    KillThread,
    /// SIGSYS.
    Trap(u16),
    /// The call fails with this number.
    Errno(u16),
    /// A supervisor decides.
    Notify,
    /// A tracer decides.
    Trace(u16),
    /// It is served, and the log says so.
    Log,
    /// It is served.
    Allow,
}

const ACTION: u32 = 0xffff_0000;

/// By which of several filters' results the least wins, and among equal ones the newest filter's.
pub fn precedence(value: u32) -> i32 {
    (value & ACTION).cast_signed()
}

impl Verdict {
    /// What a filter returned.
    pub fn of(value: u32) -> Self {
        let data = (value & !ACTION) as u16;
        match value & ACTION {
            0x0000_0000 => Self::KillThread,
            0x0003_0000 => Self::Trap(data),
            0x0005_0000 => Self::Errno(data),
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace(data),
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => Self::KillProcess,
        }
    }
}
