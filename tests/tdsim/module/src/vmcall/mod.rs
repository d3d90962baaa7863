//! TDG.VP.VMCALL, and the VMM that answers it (GHCI), a file for each family of functions.

mod cpuid;
mod fatal;
mod halt;
mod io;
mod map;
mod mmio;
mod msr;
mod quote;

use core::sync::atomic::AtomicU64;

use coffer_tdsim_rules::hostile::{Fault, odd_value};
use coffer_tdsim_rules::status::{Answer, Operand, Status};

use spin::Mutex;

use self::quote::Quoting;
use crate::console;
use crate::td::Td;
use crate::vcpu::Vcpu;

type Function = fn(&Td, &mut Vcpu) -> Answer;

/// Number, function.
const FUNCTIONS: [(u64, Function); 13] = [
    (10, cpuid::execute),
    (12, halt::execute),
    (30, io::access),
    (31, msr::read),
    (32, msr::write),
    (48, mmio::access),
    (54, nothing),
    (65, unsupported),
    (0x1_0000, information),
    (0x1_0001, map::execute),
    (0x1_0002, quote::get),
    (0x1_0003, fatal::report),
    (0x1_0004, quote::set_notification),
];

/// What the VMM keeps between calls.
#[derive(Debug)]
pub struct Vmm {
    /// MapGPA calls so far.
    pub conversions: AtomicU64,
    /// The quote in flight.
    pub quoting: Mutex<Quoting>,
}

impl Vmm {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { conversions: AtomicU64::new(0), quoting: Quoting::new() }
    }
}

/// TDG.VP.VMCALL: RCX says which registers the VMM sees.
pub fn execute(td: &Td, vcpu: &mut Vcpu) -> Status {
    // RAX, RCX and RSP never; nothing beyond GPRs and XMM registers.
    const FORBIDDEN: u64 = 0b1_0011;
    let exposed = vcpu.registers.rcx;
    if exposed & FORBIDDEN != 0 || exposed >> 32 != 0 {
        return Status::OPERAND_INVALID.of(Operand::Rcx);
    }
    let before = vcpu.registers;
    let number = vcpu.registers.r11;
    let is_standard = vcpu.registers.r10 == 0;
    let row = FUNCTIONS.iter().find(|(known, _)| is_standard && *known == number);
    let answer = row.map_or(Answer::Unsupported, |(_, function)| function(td, vcpu));
    if td.is_traced() {
        console::say(format_args!("vmcall {number:#x} {before:x?}: {answer:?}"));
    }
    // Nonsense for a status, but not for what only ends or waits.
    let is_answer = !matches!(number, 12 | 0x1_0003);
    let status = is_answer.then(|| td.hostile.strikes(Fault::Status)).flatten();
    vcpu.registers.r10 = status.map_or(answer as u64, |random| odd_value(random, answer as u64));
    hide(&mut vcpu.registers, &before, exposed);
    Status::SUCCESS
}

/// What was not exposed is as before.
fn hide(now: &mut crate::svm::Registers, before: &crate::svm::Registers, exposed: u64) {
    let is_hidden = |number: u64| exposed >> number & 1 == 0;
    for (number, value, old) in [
        (2, &mut now.rdx, before.rdx),
        (3, &mut now.rbx, before.rbx),
        (5, &mut now.rbp, before.rbp),
        (6, &mut now.rsi, before.rsi),
        (7, &mut now.rdi, before.rdi),
        (8, &mut now.r8, before.r8),
        (9, &mut now.r9, before.r9),
        (10, &mut now.r10, before.r10),
        (11, &mut now.r11, before.r11),
        (12, &mut now.r12, before.r12),
        (13, &mut now.r13, before.r13),
        (14, &mut now.r14, before.r14),
        (15, &mut now.r15, before.r15),
    ] {
        if is_hidden(number) {
            *value = old;
        }
    }
}

/// What goes on while the guest does something else; after each exit.
pub fn advance(td: &Td) {
    quote::advance(td);
}

/// WBINVD: caches are coherent here.
fn nothing(_: &Td, _: &mut Vcpu) -> Answer {
    Answer::Success
}

fn unsupported(_: &Td, _: &mut Vcpu) -> Answer {
    Answer::Unsupported
}

/// GetTdVmCallInfo: all of the base functions.
fn information(_: &Td, vcpu: &mut Vcpu) -> Answer {
    if vcpu.registers.r12 != 0 {
        return Answer::InvalidOperand;
    }
    let registers = &mut vcpu.registers;
    (registers.r11, registers.r12, registers.r13, registers.r14) = (0, 0, 0, 0);
    Answer::Success
}
