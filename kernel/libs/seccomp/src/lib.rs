//! Filters of system calls (seccomp(2)): programs for the classic BPF machine (McCanne and Jacobson, "The BSD Packet Filter", 1993), checked
//! before they run, and what their results mean.
//!
//! [`Program::check`] takes what user space hands over and yields a program that ends, stays within its data and its memory, and reads no
//! memory that it has not written. [`Program::run`] runs it, [`Program::always_allowed`] finds out which calls it allows whatever the
//! arguments, [`Verdict`] is a result. Written by hand: the crates that there are run eBPF, or need an allocator and a standard library.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod check;
mod numbers;
mod program;
#[cfg(test)]
mod tests;
mod verdict;

pub use check::Refused;
pub use numbers::{NUMBERS, Numbers};
pub use program::{Data, Instruction, Program};
pub use verdict::{Verdict, precedence};

/// The longest program (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;
