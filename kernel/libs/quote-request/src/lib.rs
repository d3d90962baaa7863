//! The buffer in which a trust domain asks its host for a quote (Intel Guest-Hypervisor Communication Interface 1.5, GetQuote): a header of 24 bytes,
//! then a TDREPORT, which the host replaces by the quote.
//!
//! The host writes to the buffer at any time, so whoever uses this copies the header out first, once, and the quote after that: nothing here looks at
//! shared memory.
#![no_std]
#![forbid(unsafe_code)]

/// Length of the header in bytes: version, status (64 bits each), lengths of report and quote (32 bits each).
pub const HEADER_LEN: usize = 24;
/// Where the status is.
pub const STATUS: usize = 8;

const VERSION: u64 = 1;
const IN_FLIGHT: u64 = u64::MAX;
const UNAVAILABLE: u64 = 0x8000_0000_0000_0001;

/// The header of a request with a report of `report_len` bytes.
pub fn header(report_len: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&VERSION.to_le_bytes());
    header[16..20].copy_from_slice(&report_len.to_le_bytes());
    header
}

/// What the host says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is at work.
    InFlight,
    /// The quote has so many bytes, from [`HEADER_LEN`] on.
    Done(usize),
    /// It has no quoting service at present.
    Unavailable,
    /// It failed, with this status.
    Failed(u64),
    /// It says what makes no sense: another version, or a quote that is empty or longer than its room.
    Nonsense,
}

/// Whether the host is at work, by the status alone: the only thing to look at more than once.
pub fn is_in_flight(status: u64) -> bool {
    status == IN_FLIGHT
}

/// Reads a copy of the header; there is room for `room` bytes of quote.
pub fn read(header: &[u8; HEADER_LEN], room: usize) -> Answer {
    let number = |at: usize, len: usize| {
        header[at..at + len].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    if number(0, 8) != VERSION {
        return Answer::Nonsense;
    }
    match number(STATUS, 8) {
        IN_FLIGHT => Answer::InFlight,
        UNAVAILABLE => Answer::Unavailable,
        0 => match usize::try_from(number(20, 4)) {
            Ok(len) if (1..=room).contains(&len) => Answer::Done(len),
            _ => Answer::Nonsense,
        },
        status => Answer::Failed(status),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, HEADER_LEN, header, is_in_flight, read};

    fn answer(status: u64, len: u32) -> [u8; HEADER_LEN] {
        let mut bytes = header(1024);
        bytes[8..16].copy_from_slice(&status.to_le_bytes());
        bytes[20..].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    #[test]
    fn a_request_has_its_report_and_no_status() {
        let expected = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0];
        assert_eq!(header(1024), expected);
    }

    #[test]
    fn what_the_host_says_is_told_apart() {
        assert_eq!(read(&answer(0, 4984), 8168), Answer::Done(4984));
        assert_eq!(read(&answer(u64::MAX, 0), 8168), Answer::InFlight);
        assert!(is_in_flight(u64::MAX) && !is_in_flight(0));
        assert_eq!(read(&answer(0x8000_0000_0000_0001, 0), 8168), Answer::Unavailable);
        assert_eq!(read(&answer(0x8000_0000_0000_0000, 9), 8168), Answer::Failed(1 << 63));
    }

    #[test]
    fn lengths_that_lie_and_other_versions_are_nonsense() {
        for len in [0, 8169, u32::MAX] {
            assert_eq!(read(&answer(0, len), 8168), Answer::Nonsense, "{len}");
        }
        let mut other = answer(0, 100);
        other[0] = 2;
        assert_eq!(read(&other, 8168), Answer::Nonsense);
    }
}
