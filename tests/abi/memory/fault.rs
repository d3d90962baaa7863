//! Accesses that are not allowed: mprotect(2), guard pages, the stack, execution.

use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::signal::Signal;

use super::Mapping;
use super::mapping::READ_WRITE;
use crate::case::{Outcome, cases, check_eq, check_fails};
use crate::child;

cases!("memory":
    writing_read_only_memory_segfaults,
    reading_inaccessible_memory_segfaults,
    executing_data_segfaults,
    written_code_can_be_executed,
    protection_can_be_taken_and_given_back,
    protecting_a_hole_fails_with_enomem,
    touching_null_segfaults,
    touching_the_kernel_segfaults,
    jumping_into_the_kernel_segfaults,
    the_stack_grows,
    a_runaway_stack_segfaults,
    a_copy_stays_private_after_mprotect,
);

/// Passes if `access`, in a child, ends that by `signal`.
#[track_caller]
pub fn ends_by(signal: Signal, access: impl FnOnce()) -> Outcome {
    let child = child::fork(|| {
        access();
        0
    })?;
    check_eq!(child.end_signal()?, signal);
    Ok(())
}

fn writing_read_only_memory_segfaults() -> Outcome {
    let memory = Mapping::anonymous(4096)?;
    memory.set(0, 3);
    memory.protect(0..4096, ProtFlags::PROT_READ)?;
    check_eq!(memory.byte(0), 3);
    ends_by(Signal::SIGSEGV, || memory.set(0, 1))
}

fn reading_inaccessible_memory_segfaults() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    memory.touch(1);
    memory.protect(4096..8192, ProtFlags::PROT_NONE)?;
    check_eq!((memory.byte(0), memory.byte(8192)), (1, 1));
    ends_by(Signal::SIGSEGV, || {
        memory.byte(4096);
    })
}

/// Calls the start of a mapping as a function that returns a number.
fn call(memory: &Mapping) -> i32 {
    // SAFETY: the mapping starts with the code of such a function, or the call ends the process.
    let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(memory.start().as_ptr()) };
    function()
}

/// `mov eax, 77; ret`.
const CODE: [u8; 6] = [0xb8, 77, 0, 0, 0, 0xc3];

fn code() -> nix::Result<Mapping> {
    let memory = Mapping::anonymous(4096)?;
    CODE.iter().enumerate().for_each(|(at, byte)| memory.set(at, *byte));
    Ok(memory)
}

fn executing_data_segfaults() -> Outcome {
    let memory = code()?;
    ends_by(Signal::SIGSEGV, || {
        call(&memory);
    })
}

fn written_code_can_be_executed() -> Outcome {
    let memory = code()?;
    memory.protect(0..4096, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC)?;
    check_eq!(call(&memory), 77);
    Ok(())
}

fn protection_can_be_taken_and_given_back() -> Outcome {
    let memory = Mapping::anonymous(8 * 4096)?;
    memory.touch(6);
    for _ in 0..10 {
        memory.protect(0..8 * 4096, ProtFlags::PROT_NONE)?;
        memory.protect(4096..3 * 4096, READ_WRITE)?;
        memory.set(4096, 8);
        memory.protect(0..8 * 4096, READ_WRITE)?;
    }
    check_eq!([memory.byte(0), memory.byte(4096), memory.byte(7 * 4096)], [6, 8, 6]);
    Ok(())
}

fn protecting_a_hole_fails_with_enomem() -> Outcome {
    let memory = Mapping::anonymous(3 * 4096)?;
    memory.punch(4096..8192)?;
    check_fails!(memory.protect(0..3 * 4096, ProtFlags::PROT_READ), ENOMEM);
    // musl's own mprotect rounds the address.
    check_fails!(crate::raw::harmless(libc::SYS_mprotect, [memory.address() + 1, 4096, 1]), EINVAL);
    Ok(())
}

fn touch(address: usize) {
    // SAFETY: nothing is mapped there for this process: the access ends it.
    unsafe { (address as *const u8).read_volatile() };
}

fn touching_null_segfaults() -> Outcome {
    ends_by(Signal::SIGSEGV, || touch(8))
}

fn touching_the_kernel_segfaults() -> Outcome {
    ends_by(Signal::SIGSEGV, || touch(crate::raw::KERNEL_ADDRESS))?;
    ends_by(Signal::SIGSEGV, || touch(0xffff_ffff_8000_0000))?;
    // A non-canonical address gives a general protection fault rather than a page fault.
    ends_by(Signal::SIGSEGV, || touch(0x1234_5678_9abc_def0))
}

fn jumping_into_the_kernel_segfaults() -> Outcome {
    for target in [crate::raw::KERNEL_ADDRESS, 0x8000_0000_0000, 0x1234_5678_9abc_def0] {
        ends_by(Signal::SIGSEGV, || {
            // SAFETY: the jump ends the process.
            unsafe { std::arch::asm!("jmp {}", in(reg) target, options(noreturn)) }
        })?;
    }
    Ok(())
}

#[inline(never)]
fn deep(depth: usize) -> usize {
    let frame = std::hint::black_box([depth as u8; 4096]);
    if depth == 0 { 0 } else { 1 + deep(depth - 1) + usize::from(frame[depth % 4096] != depth as u8) }
}

fn the_stack_grows() -> Outcome {
    // 4 MiB of the usual 8 MiB.
    check_eq!(std::hint::black_box(deep(1000)), 1000);
    Ok(())
}

fn a_runaway_stack_segfaults() -> Outcome {
    ends_by(Signal::SIGSEGV, || {
        let _ = nix::sys::signal::SigSet::all().thread_unblock();
        // SAFETY: puts back the default, so that the runtime's own handler does not turn the signal into an abort.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGSEGV, nix::sys::signal::SigHandler::SigDfl) };
        std::hint::black_box(deep(1 << 20));
    })
}

fn a_copy_stays_private_after_mprotect() -> Outcome {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
    let memory = Mapping::new(4096, READ_WRITE, flags)?;
    memory.set(0, 1);
    child::passes(|| {
        memory.protect(0..4096, ProtFlags::PROT_READ)?;
        memory.protect(0..4096, READ_WRITE)?;
        memory.set(0, 2);
        Ok(())
    })?;
    check_eq!(memory.byte(0), 1);
    Ok(())
}
