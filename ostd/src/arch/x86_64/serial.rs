//! A 16550 at COM1: 115200 8N1, FIFOs on, polled output.

use super::port;
use crate::HostValue;
use core::sync::atomic::{AtomicBool, Ordering};

const COM1: u16 = 0x3f8;
const DATA: u16 = COM1;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;
const SCRATCH: u16 = COM1 + 7;

const RECEIVED: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// Bytes that fit once the transmitter is empty.
const FIFO_LEN: usize = 16;
/// A byte takes 87 us at 115200 baud; a poll takes at least 0.1 us. Past this the line is taken for dead.
const POLL_LIMIT: u32 = 100_000;

static IS_PRESENT: AtomicBool = AtomicBool::new(false);

fn outb(register: u16, value: u8) {
    // SAFETY: only called with the 16550's registers, which have no effect on memory.
    unsafe { port::write(register, value) }
}

fn inb(register: u16) -> HostValue<u8> {
    // SAFETY: only called with the 16550's registers, which have no effect on memory.
    unsafe { port::read(register) }
}

/// Sets the line up, if there is a UART at all: its scratch register must hold what is written.
pub(crate) fn init() {
    outb(SCRATCH, 0xa5);
    if !inb(SCRATCH).is(0xa5) {
        return;
    }
    outb(INTERRUPT_ENABLE, 0);
    outb(LINE_CONTROL, 0x80); // divisor latch
    outb(DATA, 1);
    outb(INTERRUPT_ENABLE, 0);
    outb(LINE_CONTROL, 3); // 8N1
    outb(FIFO_CONTROL, 0xc7); // on, cleared, interrupt at 14 bytes or a pause
    outb(MODEM_CONTROL, 0x0b); // DTR, RTS, OUT2 (the gate of its interrupt)
    IS_PRESENT.store(true, Ordering::Relaxed);
}

/// Writes `bytes`; waits for the line.
pub(crate) fn write(bytes: &[u8]) {
    if !IS_PRESENT.load(Ordering::Relaxed) {
        return;
    }
    for chunk in bytes.chunks(FIFO_LEN) {
        let mut polls = 0;
        while !inb(LINE_STATUS).has(TRANSMITTER_EMPTY) {
            polls += 1;
            if polls > POLL_LIMIT {
                return;
            }
            core::hint::spin_loop();
        }
        for &byte in chunk {
            outb(DATA, byte);
        }
    }
}

/// Whether a UART answered.
pub(crate) fn is_present() -> bool {
    IS_PRESENT.load(Ordering::Relaxed)
}

/// Lets the UART interrupt when bytes have come.
pub(crate) fn enable_input() {
    outb(INTERRUPT_ENABLE, 1);
}

/// Takes received bytes; returns how many.
pub(crate) fn read(out: &mut [u8]) -> usize {
    let mut len = 0;
    while len < out.len() && inb(LINE_STATUS).has(RECEIVED) {
        out[len] = inb(DATA).claim();
        len += 1;
    }
    len
}
