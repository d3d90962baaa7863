//! Instruction.IO: the machine's ports, as far as a domain may have them.

use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::status::Answer;

use crate::td::Td;
use crate::vcpu::Vcpu;
use crate::{end, ports};

/// First and last port of what passes through. All other ports are empty: they read as ones. There is
/// no 8259, as there is none where TDX is.
const PASSED: [(u64, u64); 8] = [
    (0x40, 0x43),   // timer
    (0x60, 0x64),   // keyboard controller
    (0x70, 0x71),   // real-time clock
    (0xf4, 0xf4),   // debug exit
    (0x3f8, 0x3ff), // COM1; COM2 is the module's own
    (0x510, 0x51b), // fw_cfg
    (0x600, 0x67f), // ACPI power management
    (0xcf8, 0xcff), // PCI configuration
];

/// From here on it is the configuration of PCI.
const PCI: u64 = 0xcf8;

/// R12 size, R13 direction, R14 port, R15 value; R11 the value read.
pub fn access(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let (size, is_write) = (vcpu.registers.r12, vcpu.registers.r13);
    let (port, value) = (vcpu.registers.r14, vcpu.registers.r15);
    if !matches!(size, 1 | 2 | 4) || is_write > 1 || port > 0xffff {
        return Answer::InvalidOperand;
    }
    let is_passed = PASSED.iter().any(|(first, last)| (*first..=*last).contains(&port));
    match (is_passed, is_write == 1) {
        (true, true) => {
            if ends_machine(port, value) {
                end::before(td);
            }
            ports::write(port as u16, size, value as u32);
        }
        (true, false) => {
            let value = u64::from(ports::read(port as u16, size));
            let fault = if port >= PCI { Fault::Pci } else { Fault::Port };
            // Whoever judges a hostile host's guest does so by its console.
            let is_console = (0x3f8..=0x3ff).contains(&port);
            vcpu.registers.r11 = if is_console { value } else { td.hostile.value(fault, value) };
        }
        (false, true) => {}
        (false, false) => vcpu.registers.r11 = (1 << (8 * size)) - 1,
    }
    Answer::Success
}

/// Debug exit, power off, reset.
fn ends_machine(port: u64, value: u64) -> bool {
    const SLEEP_ENABLE: u64 = 1 << 13;
    const PM1_CONTROL: u64 = 0x604;
    match port {
        0xf4 | 0xcf9 => true,
        0x64 => value == 0xfe,
        PM1_CONTROL => value & SLEEP_ENABLE != 0,
        _ => false,
    }
}
