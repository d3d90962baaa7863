//! Instructions that trap into the guest, and those that the processor below does not know: TDCALL, RDSEED.

use coffer_tdsim_rules::decode::{RdSeed, rdseed};
use coffer_tdsim_rules::ve::{Info, Reason, io_qualification};

use super::code;
use crate::td::Td;
use crate::vcpu::{INVALID_OPCODE, Vcpu};
use crate::{guest, svm, tdcall};

const TDCALL: [u8; 4] = [0x66, 0x0f, 0x01, 0xcc];
const MAX_LENGTH: usize = 15;

/// #UD: TDCALL, RDSEED, or what the guest has to hear of.
pub fn invalid_opcode(td: &Td, vcpu: &mut Vcpu) {
    let mut buffer = [0; 5];
    let bytes = guest::instruction(td, vcpu, &mut buffer);
    if let Some(instruction) = rdseed(bytes) {
        return seed(vcpu, instruction);
    }
    match bytes {
        bytes if bytes.starts_with(&TDCALL) => {}
        // VMCALL is another vendor's, too.
        [0x0f, 0x01, 0xc1, ..] => return vcpu.inject_ve(Info::instruction(Reason::Vmcall, 3)),
        _ => return vcpu.inject(INVALID_OPCODE, None),
    }
    if vcpu.vmcb.cpl != 0 {
        return vcpu.inject_gp();
    }
    vcpu.advance(TDCALL.len() as u64);
    tdcall::execute(td, vcpu);
}

/// RDSEED never fails here.
fn seed(vcpu: &mut Vcpu, instruction: RdSeed) {
    const CARRY: u64 = 1;
    /// OF, SF, ZF, AF, PF.
    const CLEARED: u64 = 1 << 11 | 1 << 7 | 1 << 6 | 1 << 4 | 1 << 2;
    let RdSeed { register, bits, length } = instruction;
    let random = u64::from_le_bytes(*svm::random().first_chunk().unwrap_or(&[0; 8]));
    let value = match bits {
        64 => random,
        32 => random & 0xffff_ffff,
        _ => vcpu.general(register) & !0xffff | random & 0xffff,
    };
    vcpu.set_general(register, value);
    vcpu.vmcb.rflags = vcpu.vmcb.rflags & !CLEARED | CARRY;
    vcpu.advance(length as u64);
}

/// IN, OUT, INS, OUTS.
pub fn port(vcpu: &mut Vcpu) {
    let length = vcpu.vmcb.exit_info_2.wrapping_sub(vcpu.vmcb.rip) as u32;
    let info = Info::instruction(Reason::Io, length);
    vcpu.inject_ve(info.qualified(io_qualification(vcpu.vmcb.exit_info_1)));
}

/// HLT and the like.
pub fn trapped(td: &Td, vcpu: &mut Vcpu) {
    let mut buffer = [0; MAX_LENGTH];
    let bytes = guest::instruction(td, vcpu, &mut buffer);
    let prefixes = bytes.iter().take_while(|byte| is_prefix(**byte)).count();
    // QEMU gives the same code to both.
    let is_invd = bytes.get(prefixes + 1) == Some(&0x08);
    let (reason, opcode_length) = match vcpu.vmcb.exit_code {
        code::WBINVD if is_invd => (Reason::Invd, 2),
        code::HLT => (Reason::Hlt, 1),
        code::INVD => (Reason::Invd, 2),
        code::WBINVD => (Reason::Wbinvd, 2),
        code::MONITOR => (Reason::Monitor, 3),
        code::VMMCALL => (Reason::Vmcall, 3),
        _ => (Reason::Mwait, 3),
    };
    vcpu.inject_ve(Info::instruction(reason, opcode_length + prefixes as u32));
}

/// Legacy prefixes and REX.
fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}
