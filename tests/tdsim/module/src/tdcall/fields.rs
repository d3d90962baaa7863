//! TDG.VM.RD, TDG.VM.WR, TDG.VP.RD and TDG.SYS.RD: metadata by field number.

use coffer_tdsim_rules::status::{Operand, Status};

use crate::td::Td;
use crate::vcpu::Vcpu;

/// TDCS.CONFIG_FLAGS.
const CONFIG_FLAGS: u64 = 0x1110_0003_0000_0016;
/// TDCS.TD_CTLS.
const TD_CTLS: u64 = 0x1110_0003_0000_0017;
/// TDCS.NOTIFY_ENABLES.
const NOTIFY_ENABLES: u64 = 0x9100_0000_0000_0010;
/// ATTRIBUTES as a field.
const ATTRIBUTES: u64 = 0x1110_0003_0000_0000;

/// TDG.VM.RD: RCX 0 (this domain), RDX the field; R8 its value.
pub fn read_vm(td: &Td, vcpu: &mut Vcpu) -> Status {
    if vcpu.registers.rcx != 0 {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    }
    let value = match vcpu.registers.rdx {
        // GPAW is bit 0: 52 bits. Without bit 1 (FLEXIBLE_PENDING_VE) the policy is what ATTRIBUTES says, for good.
        CONFIG_FLAGS => u64::from(td.header.gpaw == 52),
        TD_CTLS | NOTIFY_ENABLES => 0,
        ATTRIBUTES => td.header.attributes,
        _ => return unknown(vcpu),
    };
    vcpu.registers.r8 = value;
    Status::SUCCESS
}

/// TDG.VM.WR: R8 the value, R9 the mask; R8 the old value.
pub fn write_vm(_: &Td, vcpu: &mut Vcpu) -> Status {
    if vcpu.registers.rcx != 0 {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    }
    match vcpu.registers.rdx {
        NOTIFY_ENABLES | TD_CTLS if vcpu.registers.r8 & vcpu.registers.r9 == 0 => {
            vcpu.registers.r8 = 0;
            Status::SUCCESS
        }
        NOTIFY_ENABLES | TD_CTLS | CONFIG_FLAGS | ATTRIBUTES => {
            Status::METADATA_FIELD_NOT_WRITABLE.of(Operand::Rdx)
        }
        _ => unknown(vcpu),
    }
}

/// TDG.VP.RD: no field of a processor is open to a guest that is not being debugged.
pub fn read_vp(_: &Td, vcpu: &mut Vcpu) -> Status {
    unknown(vcpu)
}

/// TDG.SYS.RD: the module tells nothing about itself.
pub fn read_sys(_: &Td, vcpu: &mut Vcpu) -> Status {
    unknown(vcpu)
}

fn unknown(vcpu: &mut Vcpu) -> Status {
    vcpu.registers.r8 = 0;
    Status::METADATA_FIELD_ID_INCORRECT.of(Operand::Rdx)
}
