//! TDG.MR.REPORT and TDG.MR.RTMR.EXTEND.

use coffer_tdsim_rules::status::{Operand, Status};

use crate::td::Td;
use crate::vcpu::Vcpu;

/// TDG.MR.RTMR.EXTEND.
pub fn extend(_: &Td, _: &mut Vcpu) -> Status {
    Status::OPERAND_BUSY.of(Operand::Rdx)
}

/// TDG.MR.REPORT.
pub fn get(_: &Td, _: &mut Vcpu) -> Status {
    Status::OPERAND_BUSY.of(Operand::Rcx)
}
