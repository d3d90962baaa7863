//! Faults as signals: which one, with which code.

use std::arch::asm;

use nix::sys::mman::ProtFlags;
use nix::sys::signal::{SaFlags, SigHandler, SigSet, Signal};

use super::install;
use crate::case::{Outcome, cases, check_eq};
use crate::child;
use crate::memory::Mapping;

cases!("signal":
    an_unmapped_address_gives_segv_maperr,
    a_protected_address_gives_segv_accerr,
    an_invalid_instruction_gives_ill,
    a_division_by_zero_gives_fpe_intdiv,
    a_breakpoint_gives_trap,
    a_privileged_instruction_gives_segv,
    a_fault_with_its_signal_blocked_ends_the_process,
    a_handler_without_a_stack_ends_the_process,
);

extern "C" fn exit_with_code(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid structure.
    let code = unsafe { &*info }.si_code;
    child::exit_now(signal * 8 + (code & 7));
}

/// The signal and the low bits of the code that `access` leads to in a child.
fn caught(signal: Signal, access: impl FnOnce()) -> Outcome<(i32, i32)> {
    let child = child::fork(|| {
        let handler = SigHandler::SigAction(exit_with_code);
        let _ = install(signal, handler, SaFlags::SA_SIGINFO, SigSet::empty());
        access();
        0
    })?;
    let code = child.exit_code()?;
    Ok((code / 8, code & 7))
}

fn an_unmapped_address_gives_segv_maperr() -> Outcome {
    // SAFETY: the access ends the child.
    let result = caught(Signal::SIGSEGV, || unsafe { (64 as *mut u8).write_volatile(1) })?;
    check_eq!(result, (libc::SIGSEGV, 1));
    Ok(())
}

fn a_protected_address_gives_segv_accerr() -> Outcome {
    let memory = Mapping::anonymous(4096)?;
    memory.protect(0..4096, ProtFlags::PROT_READ)?;
    check_eq!(caught(Signal::SIGSEGV, || memory.set(0, 1))?, (libc::SIGSEGV, 2));
    Ok(())
}

fn an_invalid_instruction_gives_ill() -> Outcome {
    // SAFETY: the instruction ends the child.
    check_eq!(caught(Signal::SIGILL, || unsafe { asm!("ud2") })?.0, libc::SIGILL);
    Ok(())
}

fn a_division_by_zero_gives_fpe_intdiv() -> Outcome {
    let divide = || {
        // SAFETY: the instruction ends the child.
        unsafe { asm!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
    };
    check_eq!(caught(Signal::SIGFPE, divide)?, (libc::SIGFPE, 1));
    Ok(())
}

fn a_breakpoint_gives_trap() -> Outcome {
    // SAFETY: the instruction ends the child.
    check_eq!(caught(Signal::SIGTRAP, || unsafe { asm!("int3") })?.0, libc::SIGTRAP);
    Ok(())
}

fn a_privileged_instruction_gives_segv() -> Outcome {
    // SAFETY: the instruction ends the child.
    check_eq!(caught(Signal::SIGSEGV, || unsafe { asm!("hlt") })?.0, libc::SIGSEGV);
    // SAFETY: as above.
    check_eq!(caught(Signal::SIGSEGV, || unsafe { asm!("cli") })?.0, libc::SIGSEGV);
    Ok(())
}

fn a_fault_with_its_signal_blocked_ends_the_process() -> Outcome {
    let child = child::fork(|| {
        let handler = SigHandler::SigAction(exit_with_code);
        let _ = install(Signal::SIGSEGV, handler, SaFlags::SA_SIGINFO, SigSet::empty());
        let _ = SigSet::all().thread_block();
        // SAFETY: the access ends the child.
        unsafe { (64 as *mut u8).write_volatile(1) };
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGSEGV);
    Ok(())
}

fn a_handler_without_a_stack_ends_the_process() -> Outcome {
    let child = child::fork(|| {
        let handler = SigHandler::SigAction(exit_with_code);
        let _ = install(Signal::SIGSEGV, handler, SaFlags::SA_SIGINFO, SigSet::empty());
        // SAFETY: the push, and then the kernel's attempt to write a frame, end the child.
        unsafe { asm!("xor esp, esp", "push rax", options(noreturn)) }
    })?;
    check_eq!(child.end_signal()?, Signal::SIGSEGV);
    Ok(())
}
