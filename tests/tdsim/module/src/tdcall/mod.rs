//! TDCALL: the guest's calls to the module, a file for each family of leaves.

mod accept;
mod fields;
mod report;
mod vp;

use coffer_tdsim_rules::status::{Operand, Status};

pub use self::report::is_genuine;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::vmcall;

type Leaf = fn(&Td, &mut Vcpu) -> Status;

/// Number, leaf. What is not in the table is an invalid operand.
const LEAVES: [(u16, Leaf); 12] = [
    (0, vmcall::execute),
    (1, vp::info),
    (2, report::extend),
    (3, vp::ve_info),
    (4, report::get),
    (5, vp::set_cpuid_ve),
    (6, accept::page),
    (7, fields::read_vm),
    (8, fields::write_vm),
    (9, fields::read_vp),
    (11, fields::read_sys),
    (22, report::verify),
];

/// Does what RAX says and leaves a status there.
pub fn execute(td: &Td, vcpu: &mut Vcpu) {
    const MAX_VERSION: u64 = 1;
    let (leaf, version, reserved) = (vcpu.vmcb.rax as u16, vcpu.vmcb.rax >> 16 & 0xff, vcpu.vmcb.rax >> 24);
    let row = LEAVES.iter().find(|(number, _)| *number == leaf);
    let status = match row {
        Some((_, execute)) if version <= MAX_VERSION && reserved == 0 => execute(td, vcpu),
        _ => Status::OPERAND_INVALID.of(Operand::Rax),
    };
    vcpu.vmcb.rax = status.0;
}
