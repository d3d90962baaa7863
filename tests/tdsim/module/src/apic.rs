//! The local APIC: the guest's x2APIC registers on the xAPIC of the processor below, and a timer in the crystal's terms.
//!
//! QEMU's emulated APIC counts at 1 GHz and has neither x2APIC nor a TSC deadline. A trust domain has x2APIC always, and a crystal of 25 MHz
//! (CPUID leaf 0x15).

use coffer_tdsim_rules::msr;

use crate::{memory, svm};

const BASE: u64 = 0xfee0_0000;
const ID: u16 = 0x20;
const END_OF_INTERRUPT: u16 = 0xb0;
const LOGICAL_DESTINATION: u16 = 0xd0;
const DESTINATION_FORMAT: u16 = 0xe0;
const SPURIOUS: u16 = 0xf0;
const COMMAND_LOW: u16 = 0x300;
const COMMAND_HIGH: u16 = 0x310;
const TIMER: u16 = 0x320;
const INITIAL_COUNT: u16 = 0x380;
const CURRENT_COUNT: u16 = 0x390;
const DIVIDE: u16 = 0x3e0;

/// Nanoseconds in a tick of the crystal.
const CRYSTAL_NS: u64 = 1_000_000_000 / coffer_tdsim_rules::cpuid::CRYSTAL_HZ as u64;

fn read(register: u16) -> u32 {
    memory::device_read(BASE + u64::from(register), 4) as u32
}

fn write(register: u16, value: u32) {
    memory::device_write(BASE + u64::from(register), 4, u64::from(value));
}

/// Enables this processor's, with a flat logical id so that masks of logical destinations match.
pub fn init(number: usize) {
    write(DESTINATION_FORMAT, u32::MAX);
    write(LOGICAL_DESTINATION, 1 << (24 + number));
    write(SPURIOUS, 0x1ff);
}

/// Number of this processor, as the machine has it.
pub fn id() -> u32 {
    read(ID) >> 24
}

/// Ends the interrupt that is in service.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Sends an interrupt command to the processor with an id; waits until it is gone.
pub fn send(destination: u32, command: u32) {
    write(COMMAND_HIGH, destination << 24);
    write(COMMAND_LOW, command);
}

/// Sends a non-maskable interrupt.
pub fn send_nmi(destination: u32) {
    const NMI: u32 = 4 << 8;
    send(destination, NMI);
}

/// Starts a one-shot timer of the module's own.
pub fn start_timer(vector: u8, ns: u32) {
    const DIVIDE_BY_1: u32 = 0xb;
    write(DIVIDE, DIVIDE_BY_1);
    write(TIMER, u32::from(vector));
    write(INITIAL_COUNT, ns);
}

/// Stops the timer.
pub fn stop_timer() {
    write(INITIAL_COUNT, 0);
}

/// The guest's timer, as it has set it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer {
    entry: u32,
    divide: u32,
    deadline: u64,
    /// Nanoseconds that one tick of the current count below is.
    shift: u32,
}

impl Timer {
    const MODE: u32 = 3 << 17;
    const DEADLINE_MODE: u32 = 2 << 17;

    fn divisor(&self) -> u64 {
        let code = self.divide & 3 | self.divide >> 1 & 4;
        1 << ((code + 1) & 7)
    }

    fn is_deadline(&self) -> bool {
        self.entry & Self::MODE == Self::DEADLINE_MODE
    }

    /// Starts the timer below: it counts nanoseconds, divided by a power of two where there are too many.
    fn start(&mut self, ns: u64) {
        self.shift = 0;
        while self.shift < 7 && ns >> self.shift > u64::from(u32::MAX) {
            self.shift += 1;
        }
        let code = (self.shift + 7) & 7;
        write(DIVIDE, code & 3 | (code & 4) << 1);
        write(INITIAL_COUNT, u32::try_from(ns >> self.shift).unwrap_or(u32::MAX));
    }

    /// The deadline register.
    pub fn set_deadline(&mut self, deadline: u64, tsc_ratio: u32) {
        if !self.is_deadline() {
            return;
        }
        self.deadline = deadline;
        let left = deadline.saturating_sub(svm::tsc());
        let ns = u128::from(left) * u128::from(CRYSTAL_NS) / u128::from(tsc_ratio.max(1));
        match deadline {
            0 => write(INITIAL_COUNT, 0),
            _ => self.start(u64::try_from(ns).unwrap_or(u64::MAX).max(1)),
        }
    }

    /// The deadline register, which is 0 once it has passed.
    pub fn deadline(&self) -> u64 {
        if svm::tsc() < self.deadline { self.deadline } else { 0 }
    }
}

/// A register as the guest reads it.
pub fn guest_read(timer: &Timer, register: u32) -> u64 {
    match register {
        0x802 => u64::from(id()),
        0x80d => {
            let id = id();
            u64::from((id >> 4) << 16 | 1 << (id & 15))
        }
        0x830 => u64::from(read(COMMAND_LOW)),
        0x832 => u64::from(timer.entry & !(1 << 12)),
        0x839 => {
            let ns = u64::from(read(CURRENT_COUNT)) << timer.shift;
            ns / (CRYSTAL_NS * timer.divisor())
        }
        0x83e => u64::from(timer.divide),
        _ => u64::from(read(msr::apic_offset(register))),
    }
}

/// A register as the guest writes it.
pub fn guest_write(timer: &mut Timer, register: u32, value: u64) {
    match register {
        0x830 => command(value),
        0x832 => {
            timer.entry = value as u32;
            let mode = if timer.is_deadline() { 0 } else { timer.entry & Timer::MODE };
            write(TIMER, timer.entry & !Timer::MODE | mode);
        }
        0x838 => {
            if !timer.is_deadline() {
                timer.start(u64::from(value as u32) * timer.divisor() * CRYSTAL_NS);
            }
        }
        0x83e => timer.divide = value as u32,
        0x83f => self_interrupt(value as u8),
        _ => write(msr::apic_offset(register), value as u32),
    }
}

/// An interrupt to this processor itself.
pub fn self_interrupt(vector: u8) {
    const SELF: u32 = 1 << 18;
    write(COMMAND_LOW, SELF | u32::from(vector));
}

/// The interrupt command register of an x2APIC: 32 bits of destination, which are a number or a cluster and a mask.
fn command(value: u64) {
    const IS_LOGICAL: u64 = 1 << 11;
    const BROADCAST: u64 = 0xffff_ffff;
    let destination = value >> 32;
    let narrow = match (destination, value & IS_LOGICAL != 0) {
        (BROADCAST, _) => 0xff,
        // Processors 0 to 7 are all in the first cluster.
        (mask, true) if mask >> 16 == 0 => mask & 0xff,
        (_, true) => return,
        (id, false) => id & 0xff,
    };
    send(narrow as u32, value as u32 & 0x000c_cfff);
}

/// Lets the timer count down from `ns`. Gives the nanoseconds and the ticks of the time stamp counter that passed.
pub fn measure(ns: u32) -> (u64, u64) {
    const MASKED: u32 = 1 << 16;
    init(0);
    start_timer(0, u32::MAX);
    write(TIMER, MASKED);
    write(INITIAL_COUNT, u32::MAX);
    let (first, began) = (read(CURRENT_COUNT), svm::tsc());
    loop {
        let (now, tsc) = (read(CURRENT_COUNT), svm::tsc());
        let passed = first.wrapping_sub(now);
        if passed >= ns {
            write(INITIAL_COUNT, 0);
            return (u64::from(passed), tsc - began);
        }
    }
}
