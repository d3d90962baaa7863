//! The serial console (16550 at COM1): polled output, interrupt-driven input.

/// Writes `bytes` as they are; may be called from any context, also with interrupts off.
pub fn write(bytes: &[u8]) {
    let _ = bytes;
    todo!()
}

/// Registers who receives input. Called in interrupt context with at least one byte. Only the first call counts.
pub fn set_input_handler(handler: fn(&[u8])) {
    let _ = handler;
    todo!()
}
