//! MOV to CR0 and CR4, LMSW, CLTS, XSETBV: what the module owns stays as it is.

use coffer_tdsim_rules::ve::{Info, Reason};

use crate::guest;
use crate::td::Td;
use crate::vcpu::Vcpu;

const CR0_PE: u64 = 1;
const CR0_TS: u64 = 1 << 3;
const CR0_NE: u64 = 1 << 5;
const CR0_NW_CD: u64 = 3 << 29;
const CR0_PG: u64 = 1 << 31;
const EFER_LMA: u64 = 1 << 10;
const CR4_MCE: u64 = 1 << 6;
/// VMXE, SMXE, and what no processor has that this runs on.
const CR4_FORBIDDEN: u64 = 1 << 13 | 1 << 14 | !0x01ff_ffff;
const EXIT_WRITE_CR0: u64 = 0x10;

/// A write to CR0 or CR4, before it is done.
pub fn write(td: &Td, vcpu: &mut Vcpu) {
    let mut buffer = [0; 15];
    let bytes = guest::instruction(td, vcpu, &mut buffer);
    let Some((value, length)) = operand(vcpu, bytes) else {
        panic!("a write to a control register by {bytes:x?}");
    };
    let is_cr0 = vcpu.vmcb.exit_code == EXIT_WRITE_CR0;
    let is_allowed = if is_cr0 {
        value & (CR0_PE | CR0_NE) == CR0_PE | CR0_NE && value & CR0_NW_CD == 0
    } else {
        value & CR4_MCE != 0 && value & CR4_FORBIDDEN == 0
    };
    if !is_allowed {
        let number = if is_cr0 { 0 } else { 4 };
        vcpu.inject_ve(Info::instruction(Reason::ControlRegister, length as u32).qualified(number));
        return;
    }
    if is_cr0 {
        vcpu.vmcb.cr0 = value;
        // LME is always set: with paging, the processor is in long mode.
        let active = if value & CR0_PG != 0 { EFER_LMA } else { 0 };
        vcpu.vmcb.efer = vcpu.vmcb.efer & !EFER_LMA | active;
    } else {
        vcpu.vmcb.cr4 = value;
    }
    vcpu.advance(length);
}

/// What is to be written, and the instruction's length.
fn operand(vcpu: &Vcpu, bytes: &[u8]) -> Option<(u64, u64)> {
    let (rex, rest, prefix_length) = match bytes {
        [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest, 1),
        rest => (0, rest, 0),
    };
    match rest {
        // MOV CRn, r64.
        [0x0f, 0x22, modrm, ..] => {
            let number = modrm & 7 | (rex & 1) << 3;
            Some((vcpu.general(number), prefix_length + 3))
        }
        // CLTS.
        [0x0f, 0x06, ..] => Some((vcpu.vmcb.cr0 & !CR0_TS, prefix_length + 2)),
        // LMSW r16.
        [0x0f, 0x01, modrm @ 0xf0..=0xf7, ..] => {
            let word = vcpu.general(modrm & 7) & 0xf;
            Some((vcpu.vmcb.cr0 & !0xe | word, prefix_length + 3))
        }
        _ => None,
    }
}

/// XSETBV: features outside of XFAM are refused. QEMU does it itself as soon as the guest may.
pub fn xsetbv(td: &Td, vcpu: &mut Vcpu) {
    const LENGTH: u64 = 3;
    const X87: u64 = 1;
    let value = vcpu.edx_eax();
    if vcpu.registers.rcx as u32 != 0 || value & X87 == 0 || value & !td.header.xfam != 0 {
        return vcpu.inject_gp();
    }
    crate::svm::write_xcr0(value);
    vcpu.advance(LENGTH);
}
