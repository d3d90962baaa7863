//! Text in the making.

use alloc::vec::Vec;
use core::fmt;

/// What a file will show. Mostly text; names of files may be any bytes.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Adds formatted text.
    pub fn add(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = fmt::Write::write_fmt(self, what);
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Adds bytes, those of `special` (and the backslash) as `\ooo`, as the tables of mounts and mappings have it.
    pub fn escaped(&mut self, bytes: &[u8], special: &[u8]) {
        for &byte in bytes {
            if special.contains(&byte) {
                self.add(format_args!("\\{byte:03o}"));
            } else {
                self.0.push(byte);
            }
        }
    }

    /// Adds spaces until what was added since `start` is `width` bytes long.
    pub fn pad(&mut self, start: usize, width: usize) {
        let len = self.0.len().max(start + width);
        self.0.resize(len, b' ');
    }

    /// How long it is.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the last byte is `byte`.
    pub fn ends_with(&self, byte: u8) -> bool {
        self.0.last() == Some(&byte)
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
