//! Why the guest was left, a file for each family of reasons.

mod control;
mod cpuid;
mod instruction;
mod memory;
mod msr;

use crate::td::Td;
use crate::vcpu::{INTERRUPT_FLAG, Vcpu};
use crate::{console, end, hostile, smp, svm, vmcall};

/// Exit codes (APM vol. 2, appendix C).
mod code {
    pub const WRITE_CR0: u64 = 0x10;
    pub const WRITE_CR4: u64 = 0x14;
    pub const INVALID_OPCODE: u64 = 0x46;
    pub const NMI: u64 = 0x61;
    pub const CPUID: u64 = 0x72;
    pub const RSM: u64 = 0x73;
    pub const INVD: u64 = 0x76;
    pub const HLT: u64 = 0x78;
    pub const INVLPGA: u64 = 0x7a;
    pub const IOIO: u64 = 0x7b;
    pub const MSR: u64 = 0x7c;
    pub const SHUTDOWN: u64 = 0x7f;
    pub const VMRUN: u64 = 0x80;
    pub const VMMCALL: u64 = 0x81;
    pub const VMLOAD: u64 = 0x82;
    pub const SKINIT: u64 = 0x86;
    pub const WBINVD: u64 = 0x89;
    pub const MONITOR: u64 = 0x8a;
    pub const MWAIT: u64 = 0x8b;
    pub const MWAIT_ARMED: u64 = 0x8c;
    pub const XSETBV: u64 = 0x8d;
    pub const NESTED_PAGE_FAULT: u64 = 0x400;
}

/// Runs a processor for good.
pub fn run(td: &Td, vcpu: &mut Vcpu) -> ! {
    loop {
        smp::enter(vcpu.index);
        svm::run(vcpu.vmcb, &mut vcpu.registers);
        smp::leave(vcpu.index);
        redeliver(vcpu);
        if td.is_traced() {
            console::say(format_args!(
                "exit {:#x} at {:#x}: {:#x} {:#x}",
                vcpu.vmcb.exit_code, vcpu.vmcb.rip, vcpu.vmcb.exit_info_1, vcpu.vmcb.exit_info_2
            ));
        }
        dispatch(td, vcpu);
        vmcall::advance(td);
        hostile::disturb(td, vcpu);
    }
}

fn dispatch(td: &Td, vcpu: &mut Vcpu) {
    match vcpu.vmcb.exit_code {
        code::NESTED_PAGE_FAULT => memory::violation(td, vcpu),
        code::INVALID_OPCODE => instruction::invalid_opcode(td, vcpu),
        code::CPUID => cpuid::execute(td, vcpu),
        code::MSR => msr::access(td, vcpu),
        code::IOIO => instruction::port(vcpu),
        code::HLT | code::INVD | code::VMMCALL | code::WBINVD => instruction::trapped(td, vcpu),
        code::MONITOR | code::MWAIT | code::MWAIT_ARMED => instruction::trapped(td, vcpu),
        code::RSM | code::INVLPGA | code::VMRUN | code::VMLOAD..=code::SKINIT => {
            vcpu.inject(crate::vcpu::INVALID_OPCODE, None);
        }
        code::WRITE_CR0 | code::WRITE_CR4 => control::write(td, vcpu),
        code::XSETBV => control::xsetbv(td, vcpu),
        code::NMI => svm::take_nmi(),
        code::SHUTDOWN => {
            let (rip, cr2) = (vcpu.vmcb.rip, vcpu.vmcb.cr2);
            console::say(format_args!("triple fault on vCPU {} at {rip:#x}, cr2 {cr2:#x}", vcpu.index));
            end::exit(end::TRIPLE_FAULT)
        }
        other => panic!("exit {other:#x} at {:#x}: {:?}", vcpu.vmcb.rip, vcpu.vmcb),
    }
}

/// An event whose delivery caused the exit is delivered again. QEMU says "exception" of interrupts, too.
fn redeliver(vcpu: &mut Vcpu) {
    const IS_VALID: u64 = 1 << 31;
    const TYPE: u64 = 7 << 8;
    let event = vcpu.vmcb.exit_interrupt_info;
    vcpu.vmcb.event_injection = 0;
    if event & IS_VALID == 0 {
        return;
    }
    let is_interrupt = event & 0xff >= 32;
    vcpu.vmcb.event_injection = if is_interrupt { event & !TYPE } else { event };
    // What the delivery had cleared already does not matter: it is done again.
    if is_interrupt {
        vcpu.vmcb.rflags |= INTERRUPT_FLAG;
    }
}
