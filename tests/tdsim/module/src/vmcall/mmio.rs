//! #VE.RequestMMIO: registers of devices.

use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::layout::{HIGH_BASE, LOW_END, PAGE};
use coffer_tdsim_rules::status::Answer;

use crate::memory;
use crate::td::Td;
use crate::vcpu::Vcpu;

/// Local APICs, which a domain has by registers of the processor only.
const APIC_PAGE: u64 = 0xfee0_0000;
/// As far as this machine has devices.
const DEVICES_END: u64 = 512 << 30;

/// R12 size, R13 direction, R14 address with the shared bit, R15 value; R11 the value read.
pub fn access(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let (size, is_write) = (vcpu.registers.r12, vcpu.registers.r13);
    let (address, value) = (vcpu.registers.r14, vcpu.registers.r15);
    let plain = address & !td.shared_bit();
    if !matches!(size, 1 | 2 | 4 | 8) || is_write > 1 || plain == address || !is_device(td, plain) {
        return Answer::InvalidOperand;
    }
    if plain % PAGE + size > PAGE {
        return Answer::AlignError;
    }
    if is_write == 1 {
        td.hostile.note_address(td, value);
        memory::device_write(plain, size, value);
    } else {
        vcpu.registers.r11 = td.hostile.value(fault(plain), memory::device_read(plain, size));
    }
    Answer::Success
}

/// Memory-mapped configuration of PCI is where SeaBIOS puts it.
fn fault(gpa: u64) -> Fault {
    if (0xb000_0000..0xc000_0000).contains(&gpa) { Fault::Pci } else { Fault::Device }
}

fn is_device(td: &Td, gpa: u64) -> bool {
    let memory_end = HIGH_BASE.max(td.header.memory.high_end + td.header.memory.size());
    let is_low = (LOW_END..HIGH_BASE).contains(&gpa) && gpa & !(PAGE - 1) != APIC_PAGE;
    is_low || (memory_end..DEVICES_END).contains(&gpa)
}
