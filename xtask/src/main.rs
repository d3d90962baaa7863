//! The front door: `cargo xtask <verb>`.
#![forbid(unsafe_code)]

fn main() {}
