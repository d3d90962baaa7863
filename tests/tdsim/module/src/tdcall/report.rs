//! TDG.MR.REPORT, TDG.MR.RTMR.EXTEND and TDG.MR.VERIFYREPORT.

use coffer_tdsim_rules::report::{self, AUTHENTICATED_LEN, Fields, LEN, MAC};
use coffer_tdsim_rules::status::{Operand, Status};

use crate::hash::{sha256, sha384};
use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{end, memory};

const DATA_ALIGNMENT: u64 = 64;

/// TDG.MR.RTMR.EXTEND: RCX where the 48 bytes are, RDX which register.
pub fn extend(td: &Td, vcpu: &mut Vcpu) -> Status {
    let (gpa, index) = (vcpu.registers.rcx, vcpu.registers.rdx);
    let mut with = [0; 48];
    let Some(from) = private(td, vcpu, gpa, DATA_ALIGNMENT) else {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    };
    let mut registers = td.rtmr.lock();
    let Some(register) = usize::try_from(index).ok().and_then(|index| registers.get_mut(index)) else {
        return Status::OPERAND_INVALID.of(Operand::Rdx);
    };
    memory::read(from, &mut with);
    *register = report::extended(register, &with, &sha384);
    Status::SUCCESS
}

/// TDG.MR.REPORT: RCX where it goes, RDX where the asker's 64 bytes are, R8 its subtype.
pub fn get(td: &Td, vcpu: &mut Vcpu) -> Status {
    let (to, data, subtype) = (vcpu.registers.rcx, vcpu.registers.rdx, vcpu.registers.r8);
    if subtype != 0 {
        return Status::OPERAND_INVALID.of(Operand::R8);
    }
    let Some(to) = private(td, vcpu, to, LEN as u64) else {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    };
    let from = if data.is_multiple_of(DATA_ALIGNMENT) { td.backing(data) } else { None };
    let Some(from) = from else { return Status::OPERAND_INVALID.of(Operand::Rdx) };
    let mut report_data = [0; 64];
    memory::read(from, &mut report_data);
    let [mr_td, _, _, _, _, config_id, owner, owner_config] = &td.header.measurements;
    let rtmr = *td.rtmr.lock();
    let fields = Fields {
        attributes: td.header.attributes,
        xfam: td.header.xfam,
        mr_td,
        rtmr: &rtmr,
        declared: &[*config_id, *owner, *owner_config],
        report_data: &report_data,
    };
    let mut report = report::build(&fields, &sha384);
    if let Some(mac) = mac(td, &report) {
        report[MAC].copy_from_slice(&mac);
    }
    memory::write(to, &report);
    Status::SUCCESS
}

/// TDG.MR.VERIFYREPORT: RCX where the authenticated part and its MAC are.
pub fn verify(td: &Td, vcpu: &mut Vcpu) -> Status {
    let mut bytes = [0; 256];
    let Some(from) = private(td, vcpu, vcpu.registers.rcx, 256) else {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    };
    memory::read(from, &mut bytes);
    if is_genuine(td, &bytes) { Status::SUCCESS } else { Status::INVALID_REPORT_MAC }
}

/// Whether this module made a report.
pub fn is_genuine(td: &Td, report: &[u8]) -> bool {
    report.get(MAC).is_some_and(|stored| mac(td, report).is_some_and(|mac| mac == stored))
}

fn mac(td: &Td, report: &[u8]) -> Option<[u8; 32]> {
    let part: &[u8; AUTHENTICATED_LEN] = report.first_chunk()?;
    Some(report::mac(&td.mac_key, part, &sha256))
}

/// Where private memory is that has to be aligned to its size. A page that is not the guest's to use ends it, as any such use does.
fn private(td: &Td, vcpu: &Vcpu, gpa: u64, alignment: u64) -> Option<u64> {
    let is_valid = gpa.is_multiple_of(alignment) && gpa < td.shared_bit();
    if !is_valid {
        return None;
    }
    let Some(address) = td.backing(gpa) else {
        end::broken_rule(vcpu, format_args!("the module is to use {gpa:#x}, which is not private memory"))
    };
    Some(address)
}
