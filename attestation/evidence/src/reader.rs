//! [`Reader`]: little-endian fields out of a borrowed slice, where every step can fail, and [`Malformed`], how.

use thiserror::Error;

/// Why bytes are not what they are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The bytes end inside of the named field.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// The named field has a value that is not known here.
    #[error("{field} is {value:#x}, expected {expected}")]
    Unexpected {
        /// Its name.
        field: &'static str,
        /// What it is.
        value: u64,
        /// What is known, in words.
        expected: &'static str,
    },
    /// A length field disagrees with what it measures.
    #[error("{0} does not fit what it is the length of")]
    Length(&'static str),
    /// There is something where there must be nothing.
    #[error("{0} is not empty")]
    NotEmpty(&'static str),
    /// A digest is not the one of what it is said to be of.
    #[error("{0} is not the digest of its contents")]
    Digest(&'static str),
    /// An event of a log is not acceptable.
    #[error("event {index}: {reason}")]
    Event {
        /// Its place in the log, from 0, without the header.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// The part of a slice that has not been read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `N` bytes, which are the field called `field`.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed::Truncated(field))?;
        self.0 = tail;
        Ok(head)
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Malformed::Truncated(field))?;
        self.0 = tail;
        Ok(head)
    }

    /// As many bytes as a 32-bit length before them says.
    pub fn prefixed(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.u32(field)?;
        self.bytes(usize::try_from(length).map_err(|_| Malformed::Length(field))?, field)
    }

    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(field).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Nothing may be left of what was the field called `field`.
    pub fn finish(self, field: &'static str) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Length(field)) }
    }
}

/// Refuses any `value` of the field called `field` but `wanted`, which `expected` puts in words.
pub fn expect(
    field: &'static str,
    value: impl Into<u64>,
    wanted: u64,
    expected: &'static str,
) -> Result<(), Malformed> {
    let value = value.into();
    if value == wanted { Ok(()) } else { Err(Malformed::Unexpected { field, value, expected }) }
}
