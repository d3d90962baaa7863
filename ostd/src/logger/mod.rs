//! The kernel log: the `log` facade's sink. Each record goes into a ring of 128 KiB (for syslog(2) and /dev/kmsg) and, at or above
//! the console level, to the serial console.

mod ring;

use crate::{irq, timer};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use log::{Level, LevelFilter, Log, Metadata, Record};
use ring::{MAX_LINE, Ring};

static CONSOLE_LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);

/// Sets the level at and above which records reach the console.
pub fn set_console_level(level: LevelFilter) {
    CONSOLE_LEVEL.store(level as usize, Ordering::Relaxed);
}

/// Copies records from sequence number `from` on into `out` as `<level>[seconds.micros] text\n`; returns (bytes, next sequence).
pub fn read(from: u64, out: &mut [u8]) -> (usize, u64) {
    RING.with(|ring| ring.read(from, out))
}

/// The ring behind a lock that works before a CPU has its local data and in any context, as [`crate::console`]'s.
struct Shared {
    is_locked: AtomicBool,
    ring: UnsafeCell<Ring>,
}

// SAFETY: `with` hands the ring to one CPU at a time.
unsafe impl Sync for Shared {}

static RING: Shared = Shared { is_locked: AtomicBool::new(false), ring: UnsafeCell::new(Ring::new()) };

impl Shared {
    /// `f` must not log.
    fn with<R>(&self, f: impl FnOnce(&mut Ring) -> R) -> R {
        let irq = irq::disable_local();
        while self.is_locked.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: the lock is ours, and interrupts are off, so nothing on this CPU comes back here before the end.
        let result = f(unsafe { &mut *self.ring.get() });
        self.is_locked.store(false, Ordering::Release);
        drop(irq);
        result
    }
}

/// Connects the `log` facade.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "the machine's half calls it"))]
pub(crate) fn init() {
    // Only a second call fails, and then the first one's logger is this one.
    let _ = log::set_logger(&Sink);
    log::set_max_level(LevelFilter::Debug);
}

struct Sink;

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now_us = timer::now_ns() / 1000;
        let mut line = Line { bytes: [0; MAX_LINE], len: 0 };
        // A line that is too long is cut; that is no error.
        let _ = write!(line, "[{:5}.{:06}] ", now_us / 1_000_000, now_us % 1_000_000);
        let _ = line.write_fmt(*record.args());
        RING.with(|ring| ring.push(syslog_level(record.level()), &line.bytes[..line.len]));
        if record.level() as usize <= CONSOLE_LEVEL.load(Ordering::Relaxed) {
            let len = line.len.min(MAX_LINE - 2);
            line.bytes[len..len + 2].copy_from_slice(b"\r\n");
            crate::console::write(&line.bytes[..len + 2]);
        }
    }

    fn flush(&self) {}
}

/// RFC 5424's severity.
fn syslog_level(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// One line on the stack. Line breaks become spaces: a record is a line.
struct Line {
    bytes: [u8; MAX_LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        for (slot, byte) in room.iter_mut().zip(text.bytes()) {
            *slot = if byte == b'\n' { b' ' } else { byte };
            self.len += 1;
        }
        Ok(())
    }
}
