//! The signal frame: registers, floating point, alternate stacks, changing where to return to.

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{SaFlags, SigHandler, SigSet, Signal, kill};
use nix::unistd::getpid;

use super::{count_on, counted, install};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::memory::Mapping;

cases!("signal":
    registers_survive_a_handler,
    vector_registers_survive_a_handler,
    a_handler_runs_on_the_alternate_stack,
    a_tiny_alternate_stack_fails_with_enomem,
    the_frame_is_aligned_and_tells_the_address,
    a_handler_can_move_the_instruction_pointer,
);

extern "C" fn clobber(_: libc::c_int) {
    // SAFETY: changes only declared registers.
    unsafe {
        asm!("pxor xmm6, xmm6", "pxor xmm7, xmm7", "xor r8, r8", "xor r9, r9", "fninit",
            out("xmm6") _, out("xmm7") _, out("r8") _, out("r9") _, out("st(0)") _);
    }
}

fn registers_survive_a_handler() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::Handler(clobber), SaFlags::empty(), SigSet::empty())?;
    let (a, b, c, d, flags): (u64, u64, u64, u64, u64);
    // SAFETY: kill(self) runs the handler before the call returns; every register that may change is declared.
    unsafe {
        asm!(
            "mov r8, 0x8888", "mov r9, 0x9999", "mov r12, 0xcccc", "mov r14, 0xeeee", "stc", "syscall",
            "pushfq", "pop r13",
            inout("rax") 62_u64 => _, in("rdi") getpid().as_raw(), in("rsi") libc::SIGUSR1,
            out("r8") a, out("r9") b, out("r12") c, out("r14") d, out("r13") flags, out("rcx") _, out("r11") _,
        );
    }
    check_eq!([a, b, c, d], [0x8888, 0x9999, 0xcccc, 0xeeee]);
    check!(flags & 1 == 1, "the carry flag was lost");
    Ok(())
}

fn vector_registers_survive_a_handler() -> Outcome {
    install(Signal::SIGUSR1, SigHandler::Handler(clobber), SaFlags::empty(), SigSet::empty())?;
    let (low, control): (u64, u32);
    let mut word = 0x1f80_u32 | 0x8000;
    let normal = 0x1f80_u32;
    // SAFETY: as above; the control register gets back its usual value.
    unsafe {
        asm!(
            "ldmxcsr [{word}]", "mov rdx, 0x7766554433221100", "movq xmm7, rdx", "syscall", "movq rdx, xmm7",
            "stmxcsr [{word}]", "mov r12d, [{word}]", "ldmxcsr [{normal}]",
            word = in(reg) &raw mut word, normal = in(reg) &raw const normal,
            inout("rax") 62_u64 => _, in("rdi") getpid().as_raw(), in("rsi") libc::SIGUSR1,
            out("rdx") low, out("r12") control, out("xmm7") _, out("rcx") _, out("r11") _,
        );
    }
    check_eq!((low, control), (0x7766_5544_3322_1100, 0x9f80));
    Ok(())
}

static STACK_ADDRESS: AtomicUsize = AtomicUsize::new(0);
static FAULT_ADDRESS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_stack(_: libc::c_int) {
    let local = 0_u8;
    STACK_ADDRESS.store((&raw const local) as usize, Ordering::SeqCst);
}

fn set_alternate(memory: &Mapping) -> nix::Result<()> {
    let stack = libc::stack_t { ss_sp: memory.start().as_ptr(), ss_flags: 0, ss_size: memory.len() };
    // SAFETY: the mapping outlives the case's use of it, and nothing else uses it.
    nix::errno::Errno::result(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) }).map(drop)
}

fn a_handler_runs_on_the_alternate_stack() -> Outcome {
    let memory = Mapping::anonymous(64 * 1024)?;
    set_alternate(&memory)?;
    let is_inside = || {
        (memory.address()..memory.address() + memory.len()).contains(&STACK_ADDRESS.load(Ordering::SeqCst))
    };
    install(Signal::SIGUSR1, SigHandler::Handler(note_stack), SaFlags::SA_ONSTACK, SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check!(is_inside(), "the handler ran at {:#x}", STACK_ADDRESS.load(Ordering::SeqCst));
    install(Signal::SIGUSR1, SigHandler::Handler(note_stack), SaFlags::empty(), SigSet::empty())?;
    kill(getpid(), Signal::SIGUSR1)?;
    check!(!is_inside());
    std::mem::forget(memory);
    Ok(())
}

fn a_tiny_alternate_stack_fails_with_enomem() -> Outcome {
    let stack = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 1024 };
    let address = (&raw const stack) as usize;
    // SAFETY: the kernel reads a live local, and refuses it.
    check_fails!(unsafe { crate::raw::syscall(libc::SYS_sigaltstack, [address, 0]) }, ENOMEM);
    Ok(())
}

extern "C" fn skip_access(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid structure.
    let info = unsafe { &*info };
    // SAFETY: a fault fills the address.
    FAULT_ADDRESS.store(unsafe { info.si_addr() } as usize, Ordering::SeqCst);
    STACK_ADDRESS.store(context as usize, Ordering::SeqCst);
    // SAFETY: the third argument is the context that will be restored.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // The access below is `mov al, [rdx]`: two bytes.
    context.uc_mcontext.gregs[libc::REG_RIP as usize] += 2;
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = 0x55;
}

/// Reads a byte with an instruction of known length, so that a handler can step over it.
fn probe(address: usize) -> u8 {
    let value: u8;
    // SAFETY: the handler steps over the access if it faults.
    unsafe { asm!("mov al, [rdx]", in("rdx") address, out("al") value, options(nostack, readonly)) };
    value
}

fn the_frame_is_aligned_and_tells_the_address() -> Outcome {
    install(Signal::SIGSEGV, SigHandler::SigAction(skip_access), SaFlags::SA_SIGINFO, SigSet::empty())?;
    let memory = Mapping::anonymous(4096)?;
    memory.protect(0..4096, nix::sys::mman::ProtFlags::PROT_NONE)?;
    check_eq!(probe(memory.address() + 123), 0x55);
    check_eq!(FAULT_ADDRESS.load(Ordering::SeqCst), memory.address() + 123);
    check_eq!(STACK_ADDRESS.load(Ordering::SeqCst) % 8, 0);
    Ok(())
}

fn a_handler_can_move_the_instruction_pointer() -> Outcome {
    install(Signal::SIGSEGV, SigHandler::SigAction(skip_access), SaFlags::SA_SIGINFO, SigSet::empty())?;
    count_on(Signal::SIGUSR1, SaFlags::empty())?;
    for _ in 0..1000 {
        check_eq!(probe(64), 0x55);
    }
    kill(getpid(), Signal::SIGUSR1)?;
    check_eq!(counted(), 1);
    Ok(())
}
