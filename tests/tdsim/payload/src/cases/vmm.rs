//! Calls: to the module, and through it to the VMM.

use super::{Verdict, check};
use crate::machine::{Outcome, Registers, attempt_in_ring_3};
use crate::td::{self, TDCALL};

const OPERAND_INVALID: u64 = 0xC000_0100_0000_0000;

/// TDG.VP.INFO.
pub fn information() -> Verdict {
    let (status, r) = td::leaf(1, [0; 3]);
    check(status == 0, "it fails")?;
    check(matches!(r.rcx, 48 | 52), "the width of addresses is odd")?;
    check(r.rdx == 1 << 28, "the attributes are not SEPT_VE_DISABLE")?;
    check(r.r8 as u32 >= 1 && r.r9 == 0, "the processor is not the first of some")
}

/// Leaves and bits that do not exist.
pub fn unknown_leaves() -> Verdict {
    for leaf in [100, 13, 1 << 24 | 1, 0xff << 16 | 1, 1 << 63] {
        check(td::leaf(leaf, [0; 3]).0 == OPERAND_INVALID, "an unknown leaf is taken")?;
    }
    Ok(())
}

/// TDCALL is for ring 0.
pub fn not_in_ring_3() -> Verdict {
    check(attempt_in_ring_3(&TDCALL) == Outcome::Fault(13, 0), "it does not fault in ring 3")
}

/// Fields that Linux uses, and one that is none.
pub fn metadata() -> Verdict {
    const CONFIG_FLAGS: u64 = 0x1110_0003_0000_0016;
    const NOTIFY_ENABLES: u64 = 0x9100_0000_0000_0010;
    let (status, r) = td::leaf(7, [0, CONFIG_FLAGS, 0]);
    let is_wide = td::shared_bit() == 1 << 51;
    check(status == 0 && r.r8 == u64::from(is_wide), "CONFIG_FLAGS does not tell the width of addresses")?;
    let mut write = Registers { rax: 8, rdx: NOTIFY_ENABLES, r9: u64::MAX, ..Registers::default() };
    check(td::call(&mut write) == 0, "NOTIFY_ENABLES cannot be cleared")?;
    check(td::leaf(7, [0, 1, 0]).0 >> 32 == 0xC000_0C00, "an unknown field is read")?;
    check(td::leaf(7, [1, CONFIG_FLAGS, 0]).0 == OPERAND_INVALID | 1, "another domain's fields are read")
}

/// Functions and registers that do not exist.
pub fn unknown_functions() -> Verdict {
    check(td::vmcall(9, [0; 4]).0 == 1 << 63 | 3, "an unknown function is not refused")?;
    for exposed in [1, 2, 16, 1 << 32] {
        let mut registers = Registers { rcx: exposed, ..Registers::default() };
        check(td::call(&mut registers) == OPERAND_INVALID | 1, "a register is exposed that may not be")?;
    }
    let (answer, r) = td::vmcall(0x1_0000, [0; 4]);
    check(answer == 0 && (r.r11, r.r12, r.r13, r.r14) == (0, 0, 0, 0), "GetTdVmCallInfo")
}

/// What is not exposed is as before.
pub fn hidden_registers() -> Verdict {
    // All but R11 are needed for the call; the answer in R12 to R15 is hidden.
    let mut registers = Registers {
        rcx: 1 << 10 | 1 << 11,
        r11: 10,
        r12: 0x4000_0000,
        r13: 5,
        r14: 6,
        r15: 7,
        ..Registers::default()
    };
    check(td::call(&mut registers) == 0, "it fails")?;
    check(
        (registers.r12, registers.r13, registers.r14, registers.r15) == (0x4000_0000, 5, 6, 7),
        "they change",
    )
}

/// The VMM answers the leaves of hypervisors.
pub fn cpuid() -> Verdict {
    let (answer, r) = td::vmcall(10, [0x4000_0000, 0, 0, 0]);
    check(answer == 0 && r.r13 as u32 == u32::from_le_bytes(*b"KVMK"), "there is no signature")?;
    let (answer, r) = td::vmcall(10, [2, 0, 0, 0]);
    check(answer == 0 && (r.r12, r.r13, r.r14, r.r15) == (0, 0, 0, 0), "it answers what is the module's")
}

/// Registers that a VMM emulates.
pub fn registers() -> Verdict {
    check(td::read_msr(0x1b) & 0xc00 == 0xc00, "the APIC is not in x2APIC mode")?;
    check(td::read_msr(0x802) == 0, "the APIC's number is not the processor's")?;
    check(td::read_msr(0x2ff) & 0xff == 6, "memory is not write-back")?;
    let (answer, _) = td::vmcall(31, [0x1234_5678, 0, 0, 0]);
    check(answer == 1 << 63, "an unknown register is read")?;
    check(td::write_msr(0x1234_5678, 0) == 1 << 63, "an unknown register is written")
}

/// Ports and registers of devices.
pub fn devices() -> Verdict {
    const IO_APIC_VERSION: u64 = 1;
    let shared = td::shared_bit();
    let access = |write: u64, offset: u64, value: u64| {
        td::vmcall(48, [4, write, shared | 0xfec0_0000 | offset, value])
    };
    check(access(1, 0, IO_APIC_VERSION).0 == 0, "the I/O APIC cannot be written")?;
    let (answer, r) = access(0, 0x10, 0);
    check(answer == 0 && r.r11 & 0xff == 0x20, "the I/O APIC's version is not what QEMU's is")?;
    check(td::vmcall(48, [4, 0, 0xfec0_0000, 0]).0 == 1 << 63, "a private address is taken")?;
    check(td::vmcall(48, [3, 0, shared | 0xfec0_0000, 0]).0 == 1 << 63, "three bytes are taken")?;
    check(td::vmcall(48, [4, 0, shared | 0x1000, 0]).0 == 1 << 63, "memory is taken for a device")?;
    check(td::vmcall(30, [1, 0, 0x2f8, 0]).1.r11 == 0xff, "a port that is not there reads as something")?;
    check(td::vmcall(30, [3, 0, 0x3f8, 0]).0 == 1 << 63, "three bytes of a port are taken")
}

/// Ends the domain.
pub fn fatal_error() -> Verdict {
    let text = *b"GivingUp";
    td::vmcall(0x1_0003, [0x42, 0, u64::from_le_bytes(text), 0]);
    Err("the VMM goes on")
}

/// Ends the domain.
pub fn triple_fault() -> Verdict {
    // SAFETY: the domain ends: without a table of interrupts an exception cannot be delivered.
    unsafe { core::arch::asm!("push 0", "push 0", "lidt [rsp]", "ud2") };
    Err("the processor goes on")
}
