//! The simulated TDX module: runs its guest as a trust domain under QEMU's software SVM.
//!
//! [`module_start`] is where each processor comes in. [`td`] is the domain, [`vcpu`] one of its processors, [`exits`] has a file for each
//! reason to leave the guest, [`tdcall`] one for each leaf of TDCALL, [`vmcall`] one for each call to the VMM that this plays as well.
//! Unsafe code is in [`svm`], [`memory`], [`ports`] and here.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "runs a guest on the bare machine; the rules are in the forbidding library")]

mod apic;
mod console;
mod end;
mod exits;
mod guest;
mod hash;
mod hostile;
mod memory;
mod npt;
mod ports;
mod setup;
mod smp;
mod svm;
mod td;
mod tdcall;
mod vcpu;
mod vmcall;

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("entry.S"), options(att_syntax));

/// The first Rust code of a processor: with its number, and on the first one with the address of `hvm_start_info`.
#[unsafe(no_mangle)]
extern "C" fn module_start(start_info: u64, number: usize) -> ! {
    svm::init_interrupts();
    let td = if number == 0 { setup::start(start_info) } else { smp::arrive(number) };
    let mut vcpu = td.take_vcpu(number);
    svm::init_cpu(vcpu.save_area);
    apic::init(number);
    if number != 0 {
        smp::wait_for_mailbox(td, &mut vcpu);
    }
    exits::run(td, &mut vcpu)
}

/// An exception in the module itself.
#[unsafe(no_mangle)]
extern "C" fn module_exception(vector: u64, frame: u64) -> ! {
    let cr2: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) };
    // SAFETY: the processor has pushed at least five words there.
    let words = unsafe { core::slice::from_raw_parts(frame as *const u64, 5) };
    console::say(format_args!("exception {vector} in the module: {words:x?}, cr2 {cr2:#x}"));
    end::exit(end::MODULE_FAULT)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    console::say(format_args!("{info}"));
    end::exit(end::MODULE_FAULT)
}
