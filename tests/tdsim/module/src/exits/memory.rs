//! Nested page faults: devices, pages that are not accepted, and pages seen from the wrong side.

use coffer_tdsim_rules::pack::Flags;
use coffer_tdsim_rules::page::State;
use coffer_tdsim_rules::ve::{Info, Reason, ept_qualification};

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{end, guest};

/// ATTRIBUTES.SEPT_VE_DISABLE.
const SEPT_VE_DISABLE: u64 = 1 << 28;

/// The guest touched what is not mapped.
pub fn violation(td: &Td, vcpu: &mut Vcpu) {
    let gpa = vcpu.vmcb.exit_info_2;
    let plain = gpa & !td.shared_bit();
    let is_shared = plain != gpa;
    match (td.state(plain), is_shared) {
        (Some(State::Private), false) | (Some(State::Shared), true) => td.map_around(plain),
        (None, true) => trap(td, vcpu, gpa),
        (Some(State::Pending), false) if td.header.attributes & SEPT_VE_DISABLE == 0 => trap(td, vcpu, gpa),
        (Some(State::Pending), false) => {
            end::broken_rule(vcpu, format_args!("the page at {plain:#x} is used but not accepted"))
        }
        (Some(_), true) if td.has(Flags::IMPLICIT_CONVERSION) => td.convert(plain, true),
        (Some(state), true) => {
            end::broken_rule(vcpu, format_args!("the page at {plain:#x} is {state:?}, and used as shared"))
        }
        (Some(state), false) => {
            end::broken_rule(vcpu, format_args!("the page at {plain:#x} is {state:?}, and used as private"))
        }
        (None, false) => end::broken_rule(vcpu, format_args!("there is no private memory at {plain:#x}")),
    }
}

fn trap(td: &Td, vcpu: &mut Vcpu, gpa: u64) {
    vcpu.inject_ve(Info {
        reason: Reason::EptViolation,
        qualification: ept_qualification(vcpu.vmcb.exit_info_1),
        gla: guest::linear_address(td, vcpu, gpa).unwrap_or(0),
        gpa,
        length: 0,
        information: 0,
    });
}
