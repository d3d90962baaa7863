//! TDG.VP.INFO, TDG.VP.VEINFO.GET and TDG.VP.CPUIDVE.SET.

use coffer_tdsim_rules::status::{Operand, Status};

use crate::td::Td;
use crate::vcpu::Vcpu;

/// TDG.VP.INFO.
pub fn info(td: &Td, vcpu: &mut Vcpu) -> Status {
    const HAS_SYS_RD: u64 = 1;
    let registers = &mut vcpu.registers;
    registers.rcx = td.header.gpaw;
    registers.rdx = td.header.attributes;
    registers.r8 = td.header.cpus | td.header.cpus << 32;
    registers.r9 = vcpu.index as u64;
    registers.r10 = HAS_SYS_RD;
    registers.r11 = 0;
    Status::SUCCESS
}

/// TDG.VP.VEINFO.GET.
pub fn ve_info(_: &Td, vcpu: &mut Vcpu) -> Status {
    let Some(info) = vcpu.ve.take() else { return Status::NO_VALID_VE_INFO };
    let registers = &mut vcpu.registers;
    registers.rcx = info.reason as u64;
    registers.rdx = info.qualification;
    registers.r8 = info.gla;
    registers.r9 = info.gpa;
    registers.r10 = u64::from(info.length) | u64::from(info.information) << 32;
    Status::SUCCESS
}

/// TDG.VP.CPUIDVE.SET: RCX bit 0 for ring 0, bit 1 for the others.
pub fn set_cpuid_ve(_: &Td, vcpu: &mut Vcpu) -> Status {
    let flags = vcpu.registers.rcx;
    if flags >> 2 != 0 {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    }
    vcpu.cpuid_ve = [flags & 1 != 0, flags & 2 != 0];
    Status::SUCCESS
}
