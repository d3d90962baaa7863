//! TDG.MEM.PAGE.ACCEPT.

use coffer_tdsim_rules::page::{Accepted, Size};
use coffer_tdsim_rules::status::{Operand, Status};

use crate::end;
use crate::td::Td;
use crate::vcpu::Vcpu;

/// RCX: address and level.
pub fn page(td: &Td, vcpu: &mut Vcpu) -> Status {
    const LEVEL: u64 = 7;
    let operand = vcpu.registers.rcx;
    let gpa = operand & !LEVEL;
    let size = match operand & LEVEL {
        0 => Size::Small,
        1 => Size::Large,
        _ => return Status::OPERAND_INVALID.of(Operand::Rcx),
    };
    let is_aligned = gpa.is_multiple_of(size.pages() as u64 * 4096);
    if !is_aligned || gpa & td.shared_bit() != 0 || gpa >> td.header.gpaw != 0 {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    }
    match td.accept(gpa, size) {
        Accepted::Done => Status::SUCCESS,
        Accepted::Already => Status::PAGE_ALREADY_ACCEPTED.of(Operand::Rcx),
        Accepted::SizeMismatch => Status::PAGE_SIZE_MISMATCH.of(Operand::Rcx),
        Accepted::Violation => end::broken_rule(vcpu, format_args!("there is nothing to accept at {gpa:#x}")),
    }
}
