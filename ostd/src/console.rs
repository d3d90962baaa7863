//! The serial console (16550 at COM1): polled output, interrupt-driven input.

#[cfg(target_os = "none")]
use crate::arch::serial;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Once;

static INPUT: Once<fn(&[u8])> = Once::new();
static IS_WRITING: AtomicBool = AtomicBool::new(false);

/// Polls of a writer that never ends (it panicked or was stopped) before its line is broken into.
const PATIENCE: u32 = 10_000_000;

/// Writes `bytes` as they are; may be called from any context, also with interrupts off.
///
/// Not a [`crate::sync::SpinLock`]: this must work before the CPU has its local data and after a panic.
pub fn write(bytes: &[u8]) {
    let irq = crate::irq::disable_local();
    let mut polls = 0;
    while IS_WRITING.swap(true, Ordering::Acquire) && polls < PATIENCE {
        polls += 1;
        core::hint::spin_loop();
    }
    #[cfg(target_os = "none")]
    serial::write(bytes);
    #[cfg(not(target_os = "none"))]
    let _ = bytes;
    IS_WRITING.store(false, Ordering::Release);
    drop(irq);
}

/// Registers who receives input. Called in interrupt context with at least one byte. Only the first call counts.
pub fn set_input_handler(handler: fn(&[u8])) {
    INPUT.call_once(|| handler);
    #[cfg(target_os = "none")]
    if serial::is_present() {
        serial::enable_input();
    }
}

/// Serves the UART's interrupt.
#[cfg(target_os = "none")]
pub(crate) fn on_interrupt() {
    let mut bytes = [0; 64];
    loop {
        let len = serial::read(&mut bytes);
        if len == 0 {
            return;
        }
        if let Some(handler) = INPUT.get() {
            handler(&bytes[..len]);
        }
    }
}
