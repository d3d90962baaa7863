//! Model-specific registers: which are the guest's own, which the module answers, and which trap into the guest.

/// What happens at a RDMSR or WRMSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The processor does it.
    Native,
    /// The register of the local APIC that is at this offset of its xAPIC page, without an exit on a real machine.
    Apic(u16),
    /// A register that the module reads, or checks, by itself.
    Module(Emulated),
    /// A virtualisation exception.
    VirtualisationException,
    /// A general protection fault.
    Fault,
}

/// Registers that the module emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulated {
    /// IA32_EFER.
    Efer,
    /// IA32_MISC_ENABLE.
    MiscEnable,
    /// IA32_XAPIC_DISABLE_STATUS.
    XapicDisableStatus,
    /// IA32_ARCH_CAPABILITIES.
    ArchCapabilities,
    /// IA32_DEBUGCTL.
    DebugControl,
    /// IA32_XSS.
    Xss,
    /// IA32_TSC, for reading.
    TimeStampCounter,
    /// SELF_IPI.
    SelfIpi,
}

use Rule::{Fault, Module, Native, VirtualisationException as Ve};

/// First, last, rule of reading, rule of writing. What is not in the table traps.
const TABLE: [(u32, u32, Rule, Rule); 31] = [
    (0x10, 0x10, Module(Emulated::TimeStampCounter), Ve),
    (0x48, 0x49, Native, Native),
    (0xBC, 0xBC, Native, Ve),
    (0xBD, 0xBD, Module(Emulated::XapicDisableStatus), Ve),
    (0x10A, 0x10A, Module(Emulated::ArchCapabilities), Ve),
    (0x10B, 0x10B, Native, Native),
    (0x174, 0x176, Native, Native),
    (0x1A0, 0x1A0, Module(Emulated::MiscEnable), Ve),
    (0x1D9, 0x1D9, Module(Emulated::DebugControl), Module(Emulated::DebugControl)),
    (0x277, 0x277, Native, Native),
    (0x480, 0x491, Ve, Fault),
    (0x600, 0x600, Native, Native),
    (0x800, 0x801, Fault, Fault),
    (0x802, 0x803, Ve, Ve),
    (0x804, 0x807, Fault, Fault),
    (0x808, 0x808, Rule::Apic(0x80), Rule::Apic(0x80)),
    (0x80A, 0x80A, Rule::Apic(0xA0), Rule::Apic(0xA0)),
    (0x80B, 0x80B, Fault, Rule::Apic(0xB0)),
    // ISR, TMR, IRR: see `apic_offset`.
    (0x810, 0x827, Rule::Apic(0x100), Fault),
    (0x829, 0x82E, Fault, Fault),
    (0x831, 0x831, Fault, Fault),
    (0x83F, 0x83F, Fault, Module(Emulated::SelfIpi)),
    (0x840, 0x8FF, Fault, Fault),
    (0xD90, 0xD90, Fault, Fault),
    (0xD93, 0xD93, Fault, Fault),
    (0xDA0, 0xDA0, Module(Emulated::Xss), Module(Emulated::Xss)),
    (0x9E, 0x9E, Ve, Fault),
    (0x8C, 0x8F, Ve, Fault),
    (0xC000_0080, 0xC000_0080, Module(Emulated::Efer), Module(Emulated::Efer)),
    (0xC000_0081, 0xC000_0082, Native, Native),
    (0xC000_0084, 0xC000_0084, Native, Native),
];

/// FS base, GS base, kernel GS base, TSC_AUX.
const SEGMENTS: core::ops::RangeInclusive<u32> = 0xC000_0100..=0xC000_0103;

/// Which rule a register falls under.
#[must_use]
pub fn rule(msr: u32, is_write: bool) -> Rule {
    if SEGMENTS.contains(&msr) {
        return Native;
    }
    let row = TABLE.iter().find(|(first, last, ..)| (*first..=*last).contains(&msr));
    match row.map(|(_, _, read, write)| if is_write { *write } else { *read }) {
        Some(Rule::Apic(_)) => Rule::Apic(apic_offset(msr)),
        Some(rule) => rule,
        None => Ve,
    }
}

/// Where an x2APIC register is in the page of an xAPIC.
#[must_use]
pub const fn apic_offset(msr: u32) -> u16 {
    ((msr & 0xff) << 4) as u16
}

/// Registers that trap but not to the guest's harm: IA32_MISC_ENABLE as the module shows it (fast strings, no BTS, no PEBS).
pub const MISC_ENABLE: u64 = 1 | 1 << 11 | 1 << 12;
/// The local APIC cannot leave x2APIC.
pub const XAPIC_DISABLE_STATUS: u64 = 1;
/// As far as it matters: not vulnerable (RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO, TAA_NO), and XAPIC_DISABLE_STATUS exists.
pub const ARCH_CAPABILITIES: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 21;

#[cfg(test)]
mod tests {
    use super::{Emulated, Rule, rule};

    #[test]
    fn registers_fall_under_their_rules() {
        for (msr, read, write) in [
            (0x1B, Rule::VirtualisationException, Rule::VirtualisationException),
            (0x10, Rule::Module(Emulated::TimeStampCounter), Rule::VirtualisationException),
            (0x80B, Rule::Fault, Rule::Apic(0xB0)),
            (0x812, Rule::Apic(0x120), Rule::Fault),
            (0x830, Rule::VirtualisationException, Rule::VirtualisationException),
            (0x831, Rule::Fault, Rule::Fault),
            (0x6E0, Rule::VirtualisationException, Rule::VirtualisationException),
            (0xC000_0083, Rule::VirtualisationException, Rule::VirtualisationException),
            (0xC000_0102, Rule::Native, Rule::Native),
            (0x4000_0000, Rule::VirtualisationException, Rule::VirtualisationException),
        ] {
            assert_eq!((rule(msr, false), rule(msr, true)), (read, write), "{msr:#x}");
        }
    }
}
