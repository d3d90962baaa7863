//! The smallest image that everything here accepts and no machine could boot: for tests of what reads images.

use crate::{Error, Image, Ingredients, build};

const STUB_LEN: usize = 0x400;

/// An image of version 1.2.3 with `init` as its runtime.
///
/// # Errors
/// If `init` is too large.
pub fn image(init: &[u8]) -> Result<Image, Error> {
    let (stub, kernel) = (stub(), kernel());
    build(&Ingredients { stub: &stub, kernel: &kernel, init, command_line: "log=info", version: "1.2.3" })
}

/// A UEFI application without sections: just the headers.
fn stub() -> Vec<u8> {
    let mut file = vec![0_u8; STUB_LEN];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86");
    put(0x54, &[240, 0, 0x22, 0]);
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 32, &0x1000_u32.to_le_bytes());
    put(0x58 + 36, &0x200_u32.to_le_bytes());
    put(0x58 + 56, &0x1000_u32.to_le_bytes());
    put(0x58 + 60, &0x400_u32.to_le_bytes());
    put(0x58 + 68, &[10]);
    put(0x58 + 108, &[16]);
    file
}

/// An ELF with one loadable segment of four bytes.
fn kernel() -> Vec<u8> {
    let mut file = vec![0_u8; 124];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1, 0]);
    put(64, &[1]);
    put(72, &[120]);
    put(96, &[4]);
    put(104, &[4]);
    file
}
