//! The end of the road: prints the message, a backtrace of addresses and the image hash, stops the other CPUs and
//! powers off with [`crate::power::Exit::Panic`].
#![cfg(target_os = "none")]

use crate::arch::apic::{self, Ipi};
use crate::arch::boot::is_image_text;
use crate::arch::trap::TrapFrame;
use crate::boot::command_line;
use crate::cpu::{self, CpuId};
use crate::power::{self, Exit};
use crate::tdx::MAX_REASON;
use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Set by the CPU that dies first. The others halt; if it panics again while dying, it ends at once.
static IS_DYING: AtomicBool = AtomicBool::new(false);
static IS_NESTED: AtomicBool = AtomicBool::new(false);

/// A stack deeper than this is printed in part.
const MAX_FRAMES: usize = 32;

/// Writes to the console at once, past the log's ring and its lock.
struct Direct;

impl Write for Direct {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    crate::console::write(line.as_bytes());
                    crate::console::write(b"\r\n");
                }
                None => crate::console::write(line.as_bytes()),
            }
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin();
    let _ = writeln!(Direct, "\nkernel panic: {}", info.message());
    if let Some(place) = info.location() {
        let _ = writeln!(Direct, "  at {}:{}", place.file(), place.line());
    }
    let _ = writeln!(Direct, "backtrace:");
    print_frames(frame_pointer());
    finish(format_args!("{}", info.message()))
}

/// As a panic, for a trap that nobody serves.
pub(crate) fn die(what: fmt::Arguments<'_>, frame: &TrapFrame) -> ! {
    begin();
    let _ = writeln!(Direct, "\nkernel panic: {what}\n{frame}\nbacktrace:");
    let _ = writeln!(Direct, "  {:016x}", frame.rip);
    print_frames(frame.rbp as usize);
    finish(what)
}

fn begin() {
    x86_64::instructions::interrupts::disable();
    if IS_DYING.swap(true, Ordering::AcqRel) {
        // Another CPU is dying, or this one while it was printing: either way there is nothing more to say.
        if IS_NESTED.swap(true, Ordering::AcqRel) {
            halt();
        }
        power::off(Exit::Panic);
    }
    stop_others();
}

fn finish(why: fmt::Arguments<'_>) -> ! {
    let hash = command_line::value(crate::arch::boot::command_line(), "coffer.image").unwrap_or("unknown");
    let _ = writeln!(Direct, "image {hash}");
    let mut beginning = Beginning { text: [0; MAX_REASON], len: 0 };
    let _ = write!(beginning, "{why}");
    power::die(&beginning.text[..beginning.len])
}

/// As much of a text as a host is told.
struct Beginning {
    text: [u8; MAX_REASON],
    len: usize,
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (slot, byte) in self.text[self.len..].iter_mut().zip(text.bytes()) {
            *slot = byte;
            self.len += 1;
        }
        Ok(())
    }
}

fn stop_others() {
    let this = cpu::current_racy().as_usize();
    for other in (0..cpu::count()).filter(|cpu| *cpu != this) {
        apic::send_ipi(CpuId(other as u32), Ipi::Stop);
    }
}

/// Called on a non-maskable interrupt: does not return if a CPU has panicked.
pub(crate) fn halt_if_stopping() {
    if IS_DYING.load(Ordering::Acquire) {
        halt();
    }
}

fn halt() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

fn frame_pointer() -> usize {
    let value: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rbp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Walks the frame pointers. Each frame must lie above the last one and near it, and return into the kernel's text: a broken chain ends
/// the walk. A guard page in between would fault, and that nested panic ends the machine.
fn print_frames(mut frame_pointer: usize) {
    const MAX_DISTANCE: usize = 64 << 10;
    for _ in 0..MAX_FRAMES {
        if frame_pointer < 0xffff_8000_0000_0000 || !frame_pointer.is_multiple_of(8) {
            return;
        }
        // SAFETY: a kernel address out of the chain of frame pointers, which this crate's entry code ends with zero.
        let [next, return_address] = unsafe { (frame_pointer as *const [usize; 2]).read_volatile() };
        if !is_image_text(return_address) {
            return;
        }
        let _ = writeln!(Direct, "  {return_address:016x}");
        if next <= frame_pointer || next - frame_pointer > MAX_DISTANCE {
            return;
        }
        frame_pointer = next;
    }
}
