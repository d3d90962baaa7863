//! /proc/sys: settings, most of them only shown (proc_sys(5)).

mod kernel;
mod limits;
mod network;
mod random;

use crate::error::{Errno, Error, Result};
use crate::fs::synthetic::{Directory, Source, Text};
use core::str::FromStr;
use core::sync::atomic::{AtomicU64, Ordering};

/// Fills /proc/sys.
pub fn fill(sys: &Directory) {
    kernel::fill(&sys.subdirectory("kernel"));
    random::fill(&sys.subdirectory("kernel").subdirectory("random"));
    limits::fill(sys);
    network::fill(sys);
}

/// A number that can be read and, within bounds, written. What it means is up to who looks at it.
#[derive(Debug)]
struct Number {
    value: &'static AtomicU64,
    max: u64,
}

impl Source for Number {
    fn show(&self, text: &mut Text) -> Result<()> {
        text.add(format_args!("{}\n", self.value.load(Ordering::Relaxed)));
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let value = parse(bytes)?;
        if value > self.max {
            return Err(Errno::EINVAL.into());
        }
        self.value.store(value, Ordering::Relaxed);
        Ok(())
    }
}

/// A number as it is written to such files: alone, with space around it.
pub(super) fn parse<T: FromStr>(bytes: &[u8]) -> Result<T> {
    core::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0').parse().ok())
        .ok_or(Error::with(Errno::EINVAL, "not a number"))
}
