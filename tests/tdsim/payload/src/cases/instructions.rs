//! Instructions that trap, fault or go through.

use super::{Verdict, check};
use crate::machine::{Outcome, Registers, attempt, attempt_in_ring_3, attempt_plain, leaving_information};
use crate::td::{self, Ve};

const CPUID: [u8; 2] = [0x0f, 0xa2];
const RDMSR: [u8; 2] = [0x0f, 0x32];
const WRMSR: [u8; 2] = [0x0f, 0x30];
const GENERAL_PROTECTION: Outcome = Outcome::Fault(13, 0);
const INVALID_OPCODE: Outcome = Outcome::Fault(6, 0);
const DOUBLE_FAULT: Outcome = Outcome::Fault(8, 0);

fn ve(reason: u32, qualification: u64, length: u32) -> Outcome {
    Outcome::Ve(Ve { reason, qualification, length, ..Ve::default() })
}

fn cpuid_of(leaf: u64) -> (Outcome, Registers) {
    let mut registers = Registers { rax: leaf, ..Registers::default() };
    (attempt(&CPUID, &mut registers), registers)
}

/// Leaves that the module answers.
pub fn cpuid() -> Verdict {
    for leaf in [
        0,
        1,
        4,
        7,
        8,
        0xA,
        0xD,
        0x15,
        0x1D,
        0x21,
        0x23,
        0x24,
        0x8000_0000,
        0x8000_0001,
        0x8000_0008,
        0x8000_0009,
    ] {
        check(cpuid_of(leaf).0 == Outcome::Done, "a leaf of the module traps")?;
    }
    let (_, tdx) = cpuid_of(0x21);
    let name = [tdx.rbx, tdx.rdx, tdx.rcx].map(|word| word as u32);
    check(name == [0x6574_6e49, 0x5844_546c, 0x2020_2020], "leaf 0x21 is not IntelTDX")?;
    let (_, crystal) = cpuid_of(0x15);
    check(crystal.rax == 1 && crystal.rcx == 25_000_000, "the crystal is not one of 25 MHz")?;
    let (_, features) = cpuid_of(1);
    check(features.rcx & 1 << 31 != 0 && features.rcx & 1 << 21 != 0, "no hypervisor, or no x2APIC")?;
    check(features.rcx & (1 << 3 | 1 << 5) == 0, "MONITOR or VMX is there")?;
    check(cpuid_of(0x8000_0001).1.rcx & 4 == 0, "SVM is there")
}

/// RDRAND and RDSEED give words, and other ones each time.
pub fn random() -> Verdict {
    const CODES: [[u8; 4]; 2] = [[0x48, 0x0f, 0xc7, 0xf1], [0x48, 0x0f, 0xc7, 0xf9]];
    let subleaf_0 = cpuid_of(7).1.rbx;
    check(subleaf_0 & 1 << 18 != 0 && cpuid_of(1).1.rcx & 1 << 30 != 0, "CPUID has not both")?;
    for code in CODES {
        let word = || {
            let mut registers = Registers::default();
            (attempt(&code, &mut registers) == Outcome::Done).then_some(registers.rcx)
        };
        let (first, second) = (word(), word());
        check(first.is_some() && second.is_some(), "it faults")?;
        check(first != second, "it repeats itself")?;
    }
    Ok(())
}

/// Leaves that are for the VMM.
pub fn cpuid_traps() -> Verdict {
    for leaf in
        [2, 6, 9, 0xB, 0xF, 0x10, 0x16, 0x18, 0x1F, 0x4000_0000, 0x4FFF_FFFF, 0x8000_0002, 0x8000_0006]
    {
        check(cpuid_of(leaf).0 == ve(10, 0, 2), "a leaf of the VMM does not trap")?;
    }
    Ok(())
}

/// Every leaf, if the guest wants that, by ring.
pub fn cpuid_always_traps() -> Verdict {
    const CPUID_VE_SET: u64 = 5;
    let set = |flags| td::leaf(CPUID_VE_SET, [flags, 0, 0]).0;
    let in_ring_3 = || attempt_in_ring_3(&[0x31, 0xc0, 0x0f, 0xa2, 0x0f, 0x0b]);
    check(set(4) == 0xC000_0100_0000_0001, "an unknown flag is taken")?;
    check(set(1) == 0 && cpuid_of(0).0 == ve(10, 0, 2), "leaf 0 does not trap in ring 0")?;
    check(in_ring_3() == INVALID_OPCODE, "it traps in ring 3 as well")?;
    check(set(2) == 0 && cpuid_of(0).0 == Outcome::Done, "leaf 0 still traps in ring 0")?;
    check(in_ring_3() == ve(10, 0, 2), "it does not trap in ring 3")?;
    check(set(0) == 0 && in_ring_3() == INVALID_OPCODE, "it cannot be switched off")
}

fn read_msr(register: u64) -> (Outcome, u64) {
    let mut registers = Registers { rcx: register, ..Registers::default() };
    let outcome = attempt(&RDMSR, &mut registers);
    (outcome, registers.rdx << 32 | registers.rax & 0xffff_ffff)
}

fn write_msr(register: u64, value: u64) -> Outcome {
    let mut registers =
        Registers { rcx: register, rax: value & 0xffff_ffff, rdx: value >> 32, ..Registers::default() };
    attempt(&WRMSR, &mut registers)
}

/// Registers that are the guest's own, or that the module reads.
pub fn registers() -> Verdict {
    for register in
        [0x10, 0x48, 0x174, 0x1A0, 0x277, 0x808, 0x80A, 0x810, 0x827, 0xC000_0080, 0xC000_0082, 0xC000_0101]
    {
        check(read_msr(register).0 == Outcome::Done, "a register of the guest traps")?;
    }
    check(write_msr(0xC000_0102, 0x1234_5678) == Outcome::Done, "the kernel's GS base traps")?;
    check(read_msr(0xC000_0102).1 == 0x1234_5678, "the kernel's GS base is not kept")?;
    check(read_msr(0xBD).1 == 1, "the APIC can leave x2APIC")?;
    check(read_msr(0x10A).1 & 1 << 21 != 0, "ARCH_CAPABILITIES does not name XAPIC_DISABLE_STATUS")?;
    check(write_msr(0x808, 0) == Outcome::Done, "TPR traps")
}

/// Registers that are for the VMM.
pub fn registers_trap() -> Verdict {
    for register in [
        0x1B,
        0x8B,
        0xFE,
        0x200,
        0x2FF,
        0x179,
        0x802,
        0x80D,
        0x80F,
        0x830,
        0x832,
        0x838,
        0x6E0,
        0xC000_0083,
        0x4000_0000,
    ] {
        check(read_msr(register).0 == ve(31, 0, 2), "reading a register of the VMM does not trap")?;
        check(write_msr(register, 0) == ve(32, 0, 2), "writing a register of the VMM does not trap")?;
    }
    check(write_msr(0x10, 0) == ve(32, 0, 2), "writing the time stamp counter does not trap")
}

/// Registers that do not exist.
pub fn registers_fault() -> Verdict {
    for register in [0x800, 0x804, 0x829, 0x831, 0x840, 0x8FF, 0xD90, 0xD93] {
        check(
            read_msr(register).0 == GENERAL_PROTECTION,
            "reading a register that is not there goes through",
        )?;
        check(write_msr(register, 0) == GENERAL_PROTECTION, "writing one goes through")?;
    }
    check(write_msr(0x810, 0) == GENERAL_PROTECTION, "the APIC's ISR can be written")?;
    check(write_msr(0xDA0, 1 << 8) == GENERAL_PROTECTION, "XSS takes what XFAM does not have")
}

/// EFER: only system calls can be switched.
pub fn efer() -> Verdict {
    let (_, efer) = read_msr(0xC000_0080);
    check(efer & 0xd00 == 0xd00, "EFER lacks LME, LMA or NXE")?;
    check(efer & 1 << 12 == 0, "EFER shows SVME")?;
    check(write_msr(0xC000_0080, efer ^ 1) == Outcome::Done, "SCE cannot be switched")?;
    check(read_msr(0xC000_0080).1 == efer ^ 1, "SCE is not kept")?;
    check(write_msr(0xC000_0080, efer) == Outcome::Done, "SCE cannot be switched back")?;
    check(write_msr(0xC000_0080, efer & !(1 << 11)) == ve(32, 0, 2), "NXE can be switched")
}

/// IN and OUT.
pub fn ports() -> Verdict {
    let mut registers = Registers { rdx: 0x3f8, ..Registers::default() };
    check(attempt(&[0xee], &mut registers) == ve(30, 0x3f8 << 16, 1), "OUT DX, AL")?;
    check(attempt(&[0x66, 0xed], &mut registers) == ve(30, 0x3f8 << 16 | 1 << 3 | 1, 2), "IN AX, DX")?;
    check(attempt(&[0xed], &mut registers) == ve(30, 0x3f8 << 16 | 1 << 3 | 3, 1), "IN EAX, DX")?;
    // A port in the instruction: QEMU does not say that it was one (bit 6).
    check(attempt_plain(&[0xe4, 0x64]) == ve(30, 0x64 << 16 | 1 << 3, 2), "IN AL, 0x64")
}

/// Instructions that the guest is to ask the VMM for.
pub fn traps() -> Verdict {
    for (code, reason, why) in [
        (&[0xf4][..], 12, "HLT does not trap"),
        (&[0x0f, 0x08], 13, "INVD does not trap"),
        (&[0x0f, 0x01, 0xc1], 18, "VMCALL does not trap"),
        (&[0x0f, 0x01, 0xd9], 18, "VMMCALL does not trap"),
        (&[0x0f, 0x09], 54, "WBINVD does not trap"),
        (&[0x0f, 0x01, 0xc9], 36, "MWAIT does not trap"),
        (&[0x0f, 0x01, 0xc8], 39, "MONITOR does not trap"),
    ] {
        check(attempt_plain(code) == ve(reason, 0, code.len() as u32), why)?;
    }
    Ok(())
}

/// Instructions that do not exist in a domain.
pub fn undefined() -> Verdict {
    // UD2, RSM, VMLAUNCH, GETSEC, and the processor's below: VMRUN, VMLOAD, VMSAVE, STGI, CLGI.
    for code in [
        &[0x0f, 0x0b][..],
        &[0x0f, 0xaa],
        &[0x0f, 0x01, 0xc2],
        &[0x0f, 0x37],
        &[0x0f, 0x01, 0xd8],
        &[0x0f, 0x01, 0xda],
        &[0x0f, 0x01, 0xdb],
        &[0x0f, 0x01, 0xdc],
        &[0x0f, 0x01, 0xdd],
    ] {
        check(attempt_plain(code) == INVALID_OPCODE, "an instruction that is not there goes through")?;
    }
    Ok(())
}

/// What the module owns of CR0 and CR4 stays.
pub fn control_registers() -> Verdict {
    const PE_ET_NE_PG: u64 = 0x8000_0031;
    const PAE_MCE: u64 = 0x60;
    const PGE: u64 = 1 << 7;
    // MOV CR0, RAX; MOV CR4, R9.
    let write_cr0 =
        |value| attempt(&[0x0f, 0x22, 0xc0], &mut Registers { rax: value, ..Registers::default() });
    let write_cr4 =
        |value| attempt(&[0x41, 0x0f, 0x22, 0xe1], &mut Registers { r9: value, ..Registers::default() });
    check(write_cr0(PE_ET_NE_PG | 1 << 16) == Outcome::Done, "WP cannot be set")?;
    check(write_cr0(PE_ET_NE_PG & !(1 << 5)) == ve(28, 0, 3), "NE can be cleared")?;
    check(write_cr0(PE_ET_NE_PG | 1 << 30) == ve(28, 0, 3), "CD can be set")?;
    check(write_cr4(PAE_MCE | PGE) == Outcome::Done, "PGE cannot be set")?;
    check(write_cr4(PAE_MCE) == Outcome::Done, "PGE cannot be cleared")?;
    check(write_cr4(PAE_MCE & !(1 << 6)) == ve(28, 4, 4), "MCE can be cleared")?;
    check(write_cr4(PAE_MCE | 1 << 13) == ve(28, 4, 4), "VMXE can be set")?;
    // CLTS.
    check(attempt_plain(&[0x0f, 0x06]) == Outcome::Done, "CLTS faults")
}

/// XSETBV within XFAM.
pub fn xsetbv() -> Verdict {
    const OSXSAVE: u64 = 1 << 18;
    let with = |value: u64| {
        attempt(
            &[0x0f, 0x01, 0xd1],
            &mut Registers { rax: value & 0xffff_ffff, rdx: value >> 32, ..Registers::default() },
        )
    };
    let enable = attempt(&[0x0f, 0x22, 0xe0], &mut Registers { rax: 0x60 | OSXSAVE, ..Registers::default() });
    check(enable == Outcome::Done, "OSXSAVE cannot be set")?;
    check(with(7) == Outcome::Done, "AVX cannot be enabled")?;
    check(with(1 << 17 | 1 << 18 | 7) == GENERAL_PROTECTION, "AMX can be enabled, outside of XFAM")?;
    check(with(2) == GENERAL_PROTECTION, "x87 can be disabled")
}

/// A second exception before the guest has asked about the first.
pub fn nested() -> Verdict {
    let (first, second) = leaving_information(|| (attempt_plain(&[0xf4]), attempt_plain(&[0x0f, 0x09])));
    check(first == Outcome::Fault(20, 0), "HLT does not trap")?;
    check(second == DOUBLE_FAULT, "the second exception is no double fault")?;
    check(td::ve_info().is_some_and(|info| info.reason == 12), "the first one's information is lost")?;
    check(attempt_plain(&[0x0f, 0x09]) == ve(54, 0, 2), "there is none after the information was taken")
}

/// Information is there once.
pub fn none() -> Verdict {
    check(attempt_plain(&[0xf4]) == ve(12, 0, 1), "HLT does not trap")?;
    let (status, _) = td::leaf(3, [0; 3]);
    check(status == 0xC000_0704_0000_0000, "there is information without an exception")
}

/// The exception comes from ring 3 as well, where the instruction may be used.
pub fn in_ring_3() -> Verdict {
    // CPUID of leaf 0 goes on, into UD2; leaf 2 traps.
    check(
        attempt_in_ring_3(&[0x31, 0xc0, 0x0f, 0xa2, 0x0f, 0x0b]) == INVALID_OPCODE,
        "CPUID 0 does not go through",
    )?;
    let outcome = attempt_in_ring_3(&[0xb8, 2, 0, 0, 0, 0x0f, 0xa2, 0x0f, 0x0b]);
    check(outcome == ve(10, 0, 2), "CPUID 2 does not trap")
}
