//! Text in the making.

use crate::error::{Errno, Result};
use alloc::vec::Vec;
use core::fmt;

/// What a file will show. Mostly text; names of files may be any bytes.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    /// Memory ran out, and something is missing.
    is_cut: bool,
}

impl Text {
    /// Adds formatted text.
    pub fn add(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = fmt::Write::write_fmt(self, what);
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.reserve(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Whether there is room for `len` more bytes. Once there was none, nothing is added any more.
    fn reserve(&mut self, len: usize) -> bool {
        self.is_cut |= self.bytes.try_reserve(len).is_err();
        !self.is_cut
    }

    /// Adds bytes, those of `special` (and the backslash) as `\ooo`, as the tables of mounts and mappings have it.
    pub fn escaped(&mut self, bytes: &[u8], special: &[u8]) {
        for &byte in bytes {
            if special.contains(&byte) {
                self.add(format_args!("\\{byte:03o}"));
            } else {
                self.bytes(&[byte]);
            }
        }
    }

    /// Adds spaces until what was added since `start` is `width` bytes long.
    pub fn pad(&mut self, start: usize, width: usize) {
        let len = self.bytes.len().max(start + width);
        if self.reserve(len - self.bytes.len()) {
            self.bytes.resize(len, b' ');
        }
    }

    /// How long it is.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the last byte is `byte`.
    pub fn ends_with(&self, byte: u8) -> bool {
        self.bytes.last() == Some(&byte)
    }

    /// The bytes.
    ///
    /// # Errors
    /// ENOMEM if there was no memory for all of them.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        if self.is_cut { Err(Errno::ENOMEM.into()) } else { Ok(self.bytes) }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
