//! Instruction.RDMSR and WRMSR: registers that a VMM emulates.

use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::pack::Flags;
use coffer_tdsim_rules::status::Answer;

use crate::apic;
use crate::td::Td;
use crate::vcpu::Vcpu;

const APIC_BASE: u64 = 0x1b;
const MICROCODE_REVISION: u64 = 0x8b;
const MTRR_CAPABILITIES: u64 = 0xfe;
const MACHINE_CHECK_CAPABILITIES: u64 = 0x179;
const MTRR_DEFAULT_TYPE: u64 = 0x2ff;
const TSC_DEADLINE: u64 = 0x6e0;

/// R12 register; R11 its value.
pub fn read(td: &Td, vcpu: &mut Vcpu) -> Answer {
    const BOOT_PROCESSOR: u64 = 1 << 8;
    const ENABLED_X2APIC: u64 = 3 << 10;
    const WRITE_BACK: u64 = 6;
    let value = match vcpu.registers.r12 {
        APIC_BASE => 0xfee0_0000 | ENABLED_X2APIC | if vcpu.index == 0 { BOOT_PROCESSOR } else { 0 },
        MTRR_DEFAULT_TYPE => WRITE_BACK | 1 << 11,
        MICROCODE_REVISION | MTRR_CAPABILITIES | MACHINE_CHECK_CAPABILITIES | 0x17a => 0,
        TSC_DEADLINE => vcpu.timer.deadline(),
        register @ (0x802 | 0x803 | 0x80d | 0x80f | 0x828 | 0x82f | 0x830 | 0x832..=0x839 | 0x83e) => {
            apic::guest_read(&vcpu.timer, register as u32)
        }
        _ if td.has(Flags::RELAXED_MSRS) => 0,
        _ => return Answer::InvalidOperand,
    };
    vcpu.registers.r11 = td.hostile.value(Fault::Register, value);
    Answer::Success
}

/// R12 register, R13 value.
pub fn write(td: &Td, vcpu: &mut Vcpu) -> Answer {
    let value = vcpu.registers.r13;
    match vcpu.registers.r12 {
        APIC_BASE | MICROCODE_REVISION | MTRR_DEFAULT_TYPE | 0x17a => {}
        TSC_DEADLINE => vcpu.timer.set_deadline(value, td.tsc_ratio),
        register @ (0x80f | 0x828 | 0x82f | 0x830 | 0x832..=0x838 | 0x83e) => {
            apic::guest_write(&mut vcpu.timer, register as u32, value);
        }
        _ if td.has(Flags::RELAXED_MSRS) => {}
        _ => return Answer::InvalidOperand,
    }
    Answer::Success
}
