//! The kernel log: the `log` facade's sink. Each record goes into a ring of 128 KiB (for syslog(2) and /dev/kmsg) and, at or above
//! the console level, to the serial console.

/// Sets the level at and above which records reach the console.
pub fn set_console_level(level: log::LevelFilter) {
    let _ = level;
    todo!()
}

/// Copies records from sequence number `from` on into `out` as `<level>[seconds.micros] text\n`; returns (bytes, next sequence).
pub fn read(from: u64, out: &mut [u8]) -> (usize, u64) {
    let _ = (from, out);
    todo!()
}
