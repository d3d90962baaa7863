//! The CMOS real-time clock (Motorola MC146818), read once at boot. It is taken to hold UTC.

use crate::HostValue;
use crate::arch::port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATING: u8 = 0x80;
const BINARY: u8 = 4;
const HOURS_24: u8 = 2;
const AFTERNOON: u8 = 0x80;
/// An update takes 2 ms at most; a clock that says "updating" for longer is not there.
const POLL_LIMIT: u32 = 20_000;

fn read(index: u8) -> HostValue<u8> {
    // SAFETY: selects a CMOS register; NMI stays enabled (bit 7 clear). No memory is affected.
    unsafe { port::write(INDEX, index) };
    // SAFETY: reads the selected register.
    unsafe { port::read(DATA) }
}

/// Seconds since the Unix epoch; `None` if the clock gives no sensible date. `century` is the FADT's CMOS index.
pub(crate) fn read_seconds(century: u8) -> Option<u64> {
    let mut last = read_registers(century)?;
    // Two equal readings in a row were not torn by an update.
    for _ in 0..8 {
        let next = read_registers(century)?;
        if next == last {
            return decode(last, read(STATUS_B).claim(), century != 0);
        }
        last = next;
    }
    None
}

fn read_registers(century: u8) -> Option<[u8; 7]> {
    let mut polls = 0;
    while read(STATUS_A).has(UPDATING) {
        polls += 1;
        if polls > POLL_LIMIT {
            return None;
        }
    }
    let century = if century == 0 { HostValue::new(0) } else { read(century & 0x7f) };
    // `decode` checks them.
    Some([read(0), read(2), read(4), read(7), read(8), read(9), century].map(HostValue::claim))
}

fn decode(registers: [u8; 7], status_b: u8, has_century: bool) -> Option<u64> {
    let binary = |value: u8| if status_b & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 15) };
    let [second, minute, raw_hour, day, month, year, century] = registers;
    let mut hour = binary(raw_hour & !AFTERNOON);
    if status_b & HOURS_24 == 0 {
        hour = hour % 12 + if raw_hour & AFTERNOON != 0 { 12 } else { 0 };
    }
    let century = if has_century { u64::from(binary(century)) } else { 20 };
    let (second, minute, day, month) = (binary(second), binary(minute), binary(day), binary(month));
    let is_date =
        second < 60 && minute < 60 && hour < 24 && (1..=31).contains(&day) && (1..=12).contains(&month);
    let year = century * 100 + u64::from(binary(year));
    (is_date && (1970..2400).contains(&year)).then(|| {
        let days = days_since_epoch(year, u64::from(month), u64::from(day));
        ((days * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60 + u64::from(second)
    })
}

/// Gregorian calendar, with years that begin in March so that the leap day comes last.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days - 719_468
}
