//! RDMSR and WRMSR.

use coffer_tdsim_rules::msr::{self, Emulated, Rule};
use coffer_tdsim_rules::ve::{Info, Reason};

use crate::td::Td;
use crate::vcpu::{EFER_SVME, Vcpu};
use crate::{apic, svm};

const LENGTH: u32 = 2;
const EFER_SCE: u64 = 1;

/// Does what the register's rule says.
pub fn access(td: &Td, vcpu: &mut Vcpu) {
    let is_write = vcpu.vmcb.exit_info_1 & 1 != 0;
    let register = vcpu.registers.rcx as u32;
    let value = vcpu.edx_eax();
    let read = match msr::rule(register, is_write) {
        Rule::Fault => return vcpu.inject_gp(),
        Rule::VirtualisationException => return trap(vcpu, is_write),
        Rule::Native if is_write => {
            svm::write_msr(register, value);
            None
        }
        Rule::Native => Some(svm::read_msr(register)),
        Rule::Apic(_) if is_write => {
            apic::guest_write(&mut vcpu.timer, register, value);
            None
        }
        Rule::Apic(_) => Some(apic::guest_read(&vcpu.timer, register)),
        Rule::Module(emulated) if is_write => {
            if !write(td, vcpu, emulated, value) {
                return;
            }
            None
        }
        Rule::Module(emulated) => Some(emulate(vcpu, emulated)),
    };
    if let Some(value) = read {
        vcpu.set_edx_eax(value);
    }
    vcpu.advance(u64::from(LENGTH));
}

fn trap(vcpu: &mut Vcpu, is_write: bool) {
    let reason = if is_write { Reason::MsrWrite } else { Reason::MsrRead };
    vcpu.inject_ve(Info::instruction(reason, LENGTH));
}

fn emulate(vcpu: &Vcpu, register: Emulated) -> u64 {
    match register {
        Emulated::Efer => vcpu.vmcb.efer & !EFER_SVME,
        Emulated::MiscEnable => msr::MISC_ENABLE,
        Emulated::XapicDisableStatus => msr::XAPIC_DISABLE_STATUS,
        Emulated::ArchCapabilities => msr::ARCH_CAPABILITIES,
        Emulated::TimeStampCounter => svm::tsc(),
        Emulated::DebugControl | Emulated::Xss | Emulated::SelfIpi => 0,
    }
}

/// Whether the instruction is done; otherwise something was injected.
fn write(td: &Td, vcpu: &mut Vcpu, register: Emulated, value: u64) -> bool {
    match register {
        Emulated::Efer => {
            if (vcpu.vmcb.efer ^ value) & !(EFER_SCE | EFER_SVME) != 0 {
                trap(vcpu, true);
                return false;
            }
            vcpu.vmcb.efer = value | EFER_SVME;
        }
        Emulated::Xss if value & !td.header.xfam != 0 => {
            vcpu.inject_gp();
            return false;
        }
        Emulated::SelfIpi => apic::self_interrupt(value as u8),
        _ => {}
    }
    true
}
