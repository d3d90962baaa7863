//! The doorway to ring 3 and back: registers of a user thread and why it came back.

use crate::Result;

/// The general registers of a user thread.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[expect(missing_docs, reason = "the architecture's names")]
pub struct Regs {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

/// An exception that user code raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Vector 0..32 (Intel SDM vol. 3, 6.3.1).
    pub vector: u8,
    /// Error code, 0 where the vector has none.
    pub error_code: u32,
    /// CR2 for page faults, else 0.
    pub fault_address: usize,
}

/// Page-fault error code bits (Intel SDM vol. 3, 4.7).
pub mod page_fault {
    /// The page was present: a protection violation.
    pub const PRESENT: u32 = 1;
    /// A write.
    pub const WRITE: u32 = 2;
    /// From user mode.
    pub const USER: u32 = 4;
    /// An instruction fetch.
    pub const FETCH: u32 = 16;
}

/// Why user code came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnReason {
    /// SYSCALL. The number is in `rax`; `rcx` and `r11` hold rip and rflags, as the instruction leaves them.
    Syscall,
    /// An exception.
    Exception(Exception),
    /// An interrupt was served on the way; look for pending work and go on.
    Interrupt,
}

/// The context of a user thread: registers; its extended state (XSAVE) belongs to the [`crate::task::Task`] that runs it.
#[derive(Clone, Debug, Default)]
pub struct UserContext {
    /// The registers. Whatever is in them, entering ring 3 is safe: `execute` keeps the flags' user bits only and
    /// refuses addresses outside of user space.
    pub regs: Regs,
}

impl UserContext {
    /// Runs user code with these registers in the current task's [`crate::mm::VmSpace`] until it comes back.
    pub fn execute(&mut self) -> ReturnReason {
        todo!()
    }
}

/// Length in bytes of the XSAVE area in standard format (for signal frames), as CPUID 0xD says for what we enable.
pub fn xsave_len() -> usize {
    todo!()
}

/// XCR0: the state components enabled.
pub fn xfeatures() -> u64 {
    todo!()
}

/// Copies the current task's extended state in XSAVE standard format; `out` is [`xsave_len`] long.
pub fn save_extended_state(out: &mut [u8]) {
    let _ = out;
    todo!()
}

/// Replaces the current task's extended state by `area`, checked as XRSTOR demands.
///
/// # Errors
/// [`crate::Error::InvalidArgument`] if the hardware would refuse it.
pub fn load_extended_state(area: &[u8]) -> Result<()> {
    let _ = area;
    todo!()
}

/// Puts the current task's extended state into the state of a new program.
pub fn reset_extended_state() {
    todo!()
}
