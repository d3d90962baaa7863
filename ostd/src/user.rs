//! The doorway to ring 3 and back: registers of a user thread and why it came back.

#[cfg(target_os = "none")]
use crate::tdx;

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

const GENERAL_PROTECTION: u8 = 13;
/// Flags that ring 3 may set: CF PF AF ZF SF TF DF OF RF AC ID.
const USER_FLAGS: u64 = 0x25_0dd5;
/// Flags that are always set in ring 3: IF and the one that is always 1.
const FIXED_FLAGS: u64 = 0x202;
/// The first address that is not canonical; everything in ring 3 lies below.
const CANONICAL_END: u64 = 1 << 47;

#[cfg(target_os = "none")]
impl UserContext {
    /// Runs user code with these registers in the current task's [`crate::mm::VmSpace`] until it comes back. Without one, its first fetch
    /// has faulted.
    ///
    /// # Panics
    /// With interrupts or preemption off: ring 3 runs with both on.
    pub fn execute(&mut self) -> ReturnReason {
        use crate::arch::user::{self, ExtendedState};
        use crate::cpu::local;

        const PAGE_FAULT: u64 = 14;
        const FIRST_INTERRUPT: u64 = 32;

        // Not in interrupt handlers nor in the scheduling policy either, which are in the middle of something.
        assert!(x86_64::instructions::interrupts::are_enabled(), "ring 3 runs with interrupts on");
        if let Some(exception) = self.make_safe() {
            return ReturnReason::Exception(exception);
        }
        let by_sysret = self.regs.rcx == self.regs.rip && self.regs.r11 == self.regs.rflags;
        let task = crate::task::Task::current().expect("only tasks run user code");
        x86_64::instructions::interrupts::disable();
        assert!(local::preempt_count() == 0, "user code must be preemptible");
        if !crate::mm::tlb::has_user_space_here() {
            // What is loaded belongs to whoever ran here before, and is not kept up to date.
            x86_64::instructions::interrupts::enable();
            return ReturnReason::Exception(Exception {
                vector: PAGE_FAULT as u8,
                error_code: page_fault::USER | page_fault::FETCH,
                fault_address: self.regs.rip as usize,
            });
        }
        // SAFETY: interrupts are off and the task is current.
        unsafe { ExtendedState::load(&task) };
        // SAFETY: interrupts are off, and `make_safe` saw to the registers.
        let exit = unsafe { user::enter(&mut self.regs, by_sysret) };
        if exit.vector != user::SYSCALL {
            // A trap, other than SYSCALL, leaves AC as ring 3 had set it: user pages would be open.
            crate::arch::mm::close_user();
        }
        let reason = match exit.vector {
            user::SYSCALL => ReturnReason::Syscall,
            vector if vector >= FIRST_INTERRUPT => {
                local::irq_enter(true);
                crate::irq::dispatch(vector as u8);
                local::irq_leave();
                crate::task::recycle_addresses();
                ReturnReason::Interrupt
            }
            tdx::exception::VECTOR if tdx::is_active() => self.virtualized(),
            vector => ReturnReason::Exception(Exception {
                vector: vector as u8,
                error_code: exit.error_code as u32,
                fault_address: if vector == PAGE_FAULT {
                    x86_64::registers::control::Cr2::read_raw() as usize
                } else {
                    0
                },
            }),
        };
        x86_64::instructions::interrupts::enable();
        if local::need_resched() {
            crate::task::reschedule();
        }
        reason
    }
}

#[cfg(target_os = "none")]
impl UserContext {
    /// Serves an instruction that a TD's CPU leaves to us. What ring 3 may not do elsewhere either fails as it does there.
    fn virtualized(&mut self) -> ReturnReason {
        let Regs { rax, rbx, rcx, rdx, rip, .. } = &mut self.regs;
        let registers = tdx::exception::Interrupted { rax, rbx, rcx, rdx, rip };
        match tdx::exception::serve(registers, true) {
            Ok(()) => ReturnReason::Interrupt,
            Err(_) => ReturnReason::Exception(Exception {
                vector: GENERAL_PROTECTION,
                error_code: 0,
                fault_address: 0,
            }),
        }
    }
}

impl UserContext {
    /// Reduces the flags to what ring 3 may have; the exception that the CPU would raise in our own face, if `rip`, `rsp` or a segment base is out of
    /// bounds.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "ring 3 is the machine's"))]
    fn make_safe(&mut self) -> Option<Exception> {
        const STACK_FAULT: u8 = 12;
        let refuse = |vector| Some(Exception { vector, error_code: 0, fault_address: 0 });
        let regs = &mut self.regs;
        regs.rflags = regs.rflags & USER_FLAGS | FIXED_FLAGS;
        if regs.rip >= CANONICAL_END || !is_canonical(regs.fs_base) || !is_canonical(regs.gs_base) {
            return refuse(GENERAL_PROTECTION);
        }
        if regs.rsp >= CANONICAL_END {
            return refuse(STACK_FAULT);
        }
        None
    }
}

/// Whether bits 63:47 agree (SDM vol. 1, 3.3.7.1). Ring 3 may put a kernel address into a segment base; it cannot use it.
fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Length in bytes of the XSAVE area in standard format (for signal frames), as CPUID 0xD says for what we enable.
#[cfg(target_os = "none")]
pub fn xsave_len() -> usize {
    crate::arch::user::extended::len()
}

/// XCR0: the state components enabled.
#[cfg(target_os = "none")]
pub fn xfeatures() -> u64 {
    crate::arch::user::extended::features()
}

/// Copies the current task's extended state in XSAVE standard format; `out` is [`xsave_len`] long.
#[cfg(target_os = "none")]
pub fn save_extended_state(out: &mut [u8]) {
    crate::arch::user::extended::copy_out(out);
}

/// Replaces the current task's extended state by `area`, checked as XRSTOR demands.
///
/// # Errors
/// [`crate::Error::InvalidArgument`] if the hardware would refuse it.
#[cfg(target_os = "none")]
pub fn load_extended_state(area: &[u8]) -> crate::Result<()> {
    crate::arch::user::extended::copy_in(area)
}

/// Puts the current task's extended state into the state of a new program.
#[cfg(target_os = "none")]
pub fn reset_extended_state() {
    crate::arch::user::extended::reset();
}
