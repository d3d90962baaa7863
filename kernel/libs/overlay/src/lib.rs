//! What overlayfs can do without a kernel around it: read its mount options, merge listings of directories, and write down where a copy came
//! from (<https://docs.kernel.org/filesystems/overlayfs.html>).
//!
//! [`Options`] is what mount(2) said, [`Listing`] a merged directory, [`origin`] the attribute that keeps inode numbers. The file system
//! itself is the kernel's `fs/overlay`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod listing;
mod options;
pub mod origin;

pub use listing::{Entry, Listing};
pub use options::{Options, OptionsError};
