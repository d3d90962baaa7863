//! Traps that the kernel itself takes; those from ring 3 belong to [`crate::user`].

pub(crate) mod idt;

use crate::cpu::local;
use crate::irq;
use crate::mm::user_io::handle_kernel_fault;
use crate::tdx;
use core::arch::global_asm;
use core::fmt;
use x86_64::registers::control::Cr2;

global_asm!(
    include_str!("entry.S"),
    user_trap_return = sym crate::arch::user::user_trap_return,
    options(att_syntax)
);

/// The first vector that is not an exception.
pub(crate) const FIRST_INTERRUPT: u64 = 32;
const NMI: u64 = 2;
const PAGE_FAULT: u64 = 14;

/// What `entry.S` saved, lowest address first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self;
        writeln!(
            f,
            "  rip {:016x} rsp {:016x} rflags {:08x} cs {:x} ss {:x}",
            t.rip, t.rsp, t.rflags, t.cs, t.ss
        )?;
        writeln!(f, "  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", t.rax, t.rbx, t.rcx, t.rdx)?;
        writeln!(f, "  rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}", t.rsi, t.rdi, t.rbp, t.r8)?;
        writeln!(f, "  r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}", t.r9, t.r10, t.r11, t.r12)?;
        write!(f, "  r13 {:016x} r14 {:016x} r15 {:016x} cr2 {:016x}", t.r13, t.r14, t.r15, Cr2::read_raw())
    }
}

/// A trap out of ring 0; called by `entry.S` with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn kernel_trap(frame: &mut TrapFrame) {
    match frame.vector {
        PAGE_FAULT => {
            if !is_served(frame) {
                die(frame);
            }
        }
        vector if vector >= FIRST_INTERRUPT => {
            // In the middle of a user access user pages are open, and would stay so for handlers and for the next task.
            crate::arch::mm::close_user();
            local::irq_enter(false);
            irq::dispatch(vector as u8);
            if local::irq_leave() {
                // The place where the kernel is preempted.
                crate::task::on_interrupt_exit();
            }
        }
        tdx::exception::VECTOR if tdx::is_active() => virtualized(frame),
        _ => die(frame),
    }
}

/// An instruction of ours that the TDX module leaves to us.
fn virtualized(frame: &mut TrapFrame) {
    let TrapFrame { rax, rbx, rcx, rdx, rip, .. } = frame;
    if let Err(info) = tdx::exception::serve(tdx::exception::Interrupted { rax, rbx, rcx, rdx, rip }, false) {
        crate::panic::die(format_args!("virtualization exception in the kernel: {info:x?}"), frame);
    }
}

/// A non-maskable interrupt, double fault or machine check, out of whatever state.
#[unsafe(no_mangle)]
extern "C" fn paranoid_trap(frame: &mut TrapFrame) {
    // The only NMI we send tells a CPU to stop; any other is the host's, and a stray one is no reason to die.
    if frame.vector == NMI {
        crate::panic::halt_if_stopping();
    } else {
        die(frame);
    }
}

/// Whether the fault was an access to user memory, served or to be failed by the exception table.
fn is_served(frame: &mut TrapFrame) -> bool {
    const INTERRUPTS_ON: u64 = 1 << 9;
    let had_interrupts = frame.rflags & INTERRUPTS_ON != 0;
    handle_kernel_fault(Cr2::read_raw() as usize, frame.error_code as u32, &mut frame.rip, had_interrupts)
}

fn die(frame: &TrapFrame) -> ! {
    crate::panic::die(
        format_args!("{} (error code {:#x}) in the kernel", name(frame.vector), frame.error_code),
        frame,
    )
}

fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        3 => "breakpoint",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD error",
        20 => "virtualization exception",
        21 => "control protection exception",
        _ => "exception",
    }
}
