//! What processes make the kernel write to its log: so many lines a second for all of them together, or a container could fill the console,
//! which is slow, for the machine.

use super::Process;
use super::namespace::pid::PidNamespace;
use alloc::sync::Arc;
use core::fmt::{self, Arguments};
use ostd::sync::SpinLock;
use ostd::timer::now_ns;

/// Lines that may come at once.
const BURST: u64 = 64;
/// After which time there may be one more.
const REFILL_NS: u64 = 100_000_000;

static LINES: SpinLock<Lines> = SpinLock::new(Lines { left: BURST, since_ns: 0, left_out: 0 });

/// What may still be written.
struct Lines {
    left: u64,
    /// Up to when time has been turned into lines.
    since_ns: u64,
    left_out: u64,
}

/// A process as the log names it. What one in an inner pid namespace calls itself is left out: the log goes to the console, which is the host's, and a
/// name is fifteen bytes of whatever a container wants to say there.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a>(pub &'a Process);

impl Who<'_> {
    /// A number of a system call as the log may show it: one that Linux will never have is as good as a word.
    pub fn number(self, number: u64) -> u64 {
        const NUMBERS: u64 = 1024;
        if self.is_inside() { number.min(NUMBERS) } else { number }
    }

    fn is_inside(self) -> bool {
        !Arc::ptr_eq(self.0.pid_namespace(), PidNamespace::initial())
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(process) = self;
        if self.is_inside() {
            return write!(f, "process {}", process.pid());
        }
        for byte in process.name().into_iter().take_while(|&byte| byte != 0) {
            let shown = if byte.is_ascii_graphic() { char::from(byte) } else { '?' };
            fmt::Write::write_char(f, shown)?;
        }
        write!(f, "[{}]", process.pid())
    }
}

/// Writes a line about what a process did, if there is room for one; and before it, how many there was none for.
pub fn write(level: log::Level, line: Arguments<'_>) {
    let Some(left_out) = LINES.lock().take(now_ns()) else { return };
    if left_out > 0 {
        log::log!(level, "{left_out} lines about processes were left out");
    }
    log::log!(level, "{line}");
}

impl Lines {
    /// Takes one, and how many were left out since the last one; `None` if this is one of them.
    fn take(&mut self, now_ns: u64) -> Option<u64> {
        let come = now_ns.saturating_sub(self.since_ns) / REFILL_NS;
        self.since_ns += come * REFILL_NS;
        self.left = self.left.saturating_add(come).min(BURST);
        if self.left == 0 {
            self.left_out += 1;
            return None;
        }
        self.left -= 1;
        Some(core::mem::take(&mut self.left_out))
    }
}
