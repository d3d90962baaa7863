//! The local APIC's timer, in the crystal's terms, and HLT.

use super::{Verdict, check};
use crate::machine::{
    Registers, attempt, disable_interrupts, enable_interrupts, interrupts, let_interrupts_in, tsc,
};
use crate::td;

const SPURIOUS: u64 = 0x80f;
const ENTRY: u64 = 0x832;
const INITIAL: u64 = 0x838;
const CURRENT: u64 = 0x839;
const DIVIDE: u64 = 0x83e;
const DIVIDE_BY_1: u64 = 0xb;
const VECTOR: u8 = 0x40;
const MASKED: u64 = 1 << 16;

/// It counts a crystal of 25 MHz, against which CPUID gives the time stamp counter.
pub fn crystal() -> Verdict {
    let mut registers = Registers { rax: 0x15, ..Registers::default() };
    attempt(&[0x0f, 0xa2], &mut registers);
    let ratio = registers.rbx;
    td::write_msr(SPURIOUS, 0x1ff);
    td::write_msr(ENTRY, MASKED | u64::from(VECTOR));
    td::write_msr(DIVIDE, DIVIDE_BY_1);
    td::write_msr(INITIAL, 25_000_000);
    let (began, first) = (tsc(), td::read_msr(CURRENT));
    while tsc() - began < ratio * 250_000 {}
    let (ended, last) = (tsc(), td::read_msr(CURRENT));
    td::write_msr(INITIAL, 0);
    let ticks = first.saturating_sub(last);
    let expected = (ended - began) / ratio;
    check(ticks.abs_diff(expected) * 20 < expected, "it differs from the time stamp counter by more than 5 %")
}

/// A processor that waits is woken, with interrupts on and off.
pub fn halt() -> Verdict {
    td::write_msr(ENTRY, u64::from(VECTOR));
    let before = interrupts(VECTOR);
    for _ in 0..20 {
        td::write_msr(INITIAL, 25_000);
        // With interrupts off the wait ends; the interrupt comes when they are let in.
        td::vmcall(12, [1, 0, 0, 0]);
        let_interrupts_in();
    }
    check(interrupts(VECTOR) == before + 20, "an interrupt was lost with interrupts off")?;
    enable_interrupts();
    for number in 1..=20 {
        td::write_msr(INITIAL, 25_000);
        while interrupts(VECTOR) < before + 20 + number {
            td::vmcall(12, [0; 4]);
        }
    }
    disable_interrupts();
    td::write_msr(ENTRY, MASKED);
    Ok(())
}
