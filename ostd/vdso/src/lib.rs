//! The vDSO (vdso(7)): the clocks, read in user mode without a system call.
//!
//! [`IMAGE`] is the ELF shared object that the kernel maps into each process, with a page of [`Parameters`] right before it. build.rs
//! makes it out of these same sources, compiled once more with `--cfg vdso_image`: then there is [`entry`] instead of `IMAGE`.
//! `clock` holds the arithmetic, tested on the host as it is and, by `tests/image.rs`, as it stands in the image.
#![no_std]
#![cfg_attr(
    any(vdso_image, clippy),
    expect(unsafe_code, reason = "the entries are called from C and read memory that the kernel placed")
)]

pub mod clock;
// Clippy reads what build.rs compiles.
#[cfg(any(vdso_image, clippy))]
mod entry;
mod parameters;

pub use clock::Time;
pub use parameters::Parameters;

/// The shared object: at most one page, as build.rs checks.
#[cfg(not(vdso_image))]
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));
