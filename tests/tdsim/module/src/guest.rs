//! Guest memory as the guest sees it: by linear address, through its own page tables.

use coffer_tdsim_rules::layout::PAGE;

use crate::memory;
use crate::td::Td;
use crate::vcpu::Vcpu;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const LA57: u64 = 1 << 12;

/// The guest physical address, shared bit and all, that a linear address is mapped to.
pub fn translate(td: &Td, vcpu: &Vcpu, linear: u64) -> Option<u64> {
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
