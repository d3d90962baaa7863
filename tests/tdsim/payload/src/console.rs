//! The serial console, by calls to the VMM.

use core::fmt::{self, Write as _};

use crate::td;

struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const COM1: u64 = 0x3f8;
        text.bytes().for_each(|byte| td::port_write(COM1, u64::from(byte)));
        Ok(())
    }
}

/// Says a line.
pub fn say(line: fmt::Arguments) {
    // Writing to the port cannot fail.
    let _written = writeln!(Serial, "{line}\r");
}
