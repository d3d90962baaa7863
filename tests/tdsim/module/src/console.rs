//! Words of the module on the serial console, which is otherwise the guest's: lines that begin with `tdsim: `.

use core::fmt::{self, Write as _};

use spin::Mutex;

use crate::ports;

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const IS_EMPTY: u32 = 1 << 5;

static LINE: Mutex<()> = Mutex::new(());

struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while ports::read(LINE_STATUS, 1) & IS_EMPTY == 0 {
                core::hint::spin_loop();
            }
            ports::write(COM1, 1, u32::from(byte));
        }
        Ok(())
    }
}

/// Says a line.
pub fn say(line: fmt::Arguments) {
    let _guard = LINE.lock();
    // Writing to the port cannot fail.
    let _written = writeln!(Serial, "\r\ntdsim: {line}\r");
}
