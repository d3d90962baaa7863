//! Guest memory as the guest sees it: by linear address, through its own page tables.

use coffer_tdsim_rules::decode::{self, State};
use coffer_tdsim_rules::layout::PAGE;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{memory, svm};

const PAGING: u64 = 1 << 31;
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const LA57: u64 = 1 << 12;

/// The guest physical address, shared bit and all, that a linear address is mapped to.
pub fn translate(td: &Td, vcpu: &Vcpu, linear: u64) -> Option<u64> {
    if vcpu.vmcb.cr0 & PAGING == 0 {
        return Some(linear);
    }
    let mask = (1 << td.header.gpaw) - PAGE;
    let levels = if vcpu.vmcb.cr4 & LA57 != 0 { 5 } else { 4 };
    let mut table = vcpu.vmcb.cr3 & mask;
    for level in (0..levels).rev() {
        let shift = 12 + 9 * level;
        let entry = memory::read_u64(td.backing(table + (linear >> shift & 0x1ff) * 8)?);
        if entry & PRESENT == 0 {
            return None;
        }
        if level == 0 || level <= 2 && entry & LARGE != 0 {
            let within = (1 << shift) - 1;
            return Some(entry & mask & !within | linear & within);
        }
        table = entry & mask;
    }
    None
}

/// Copies the bytes at the instruction pointer, as many as can be reached.
pub fn instruction<'a>(td: &Td, vcpu: &Vcpu, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let linear = vcpu.vmcb.rip.wrapping_add(len as u64);
        let Some(address) = translate(td, vcpu, linear).and_then(|gpa| td.backing(gpa)) else { break };
        let count = rest.len().min((PAGE - linear % PAGE) as usize);
        memory::read(address, &mut rest[..count]);
        len += count;
    }
    &buffer[..len]
}

/// The linear address by which the current instruction reached a guest physical one.
pub fn linear_address(td: &Td, vcpu: &Vcpu, gpa: u64) -> Option<u64> {
    const FS_BASE: u32 = 0xC000_0100;
    const GS_BASE: u32 = 0xC000_0101;
    let mut buffer = [0; 15];
    let bytes = instruction(td, vcpu, &mut buffer);
    let general = |number| vcpu.general(number);
    let state = State {
        general: &general,
        rip: vcpu.vmcb.rip,
        fs_base: svm::read_msr(FS_BASE),
        gs_base: svm::read_msr(GS_BASE),
    };
    let is_same_page =
        |linear: &u64| translate(td, vcpu, *linear).is_some_and(|found| found / PAGE == gpa / PAGE);
    let page = decode::addresses(bytes, &state).into_iter().flatten().find(is_same_page)?;
    Some(page & !(PAGE - 1) | gpa & (PAGE - 1))
}
