//! The strings of a new program: argv and envp, with the limits of execve(2).

use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;

/// The longest single string, NUL included (MAX_ARG_STRLEN).
pub const MAX_STRING: usize = 131_072;
/// What argv, envp and their pointers may take in any case.
const FLOOR: u64 = 131_072;
/// … and at most, however large RLIMIT_STACK is: three quarters of 8 MiB.
const CEILING: u64 = 6 << 20;

/// Strings one after the other, each with its NUL.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// Adds a string.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn push(&mut self, string: &[u8]) -> Result<()> {
        self.bytes.try_reserve(string.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// E2BIG if these alone are too long already.
    ///
    /// # Errors
    /// E2BIG.
    pub fn check(&self, stack_limit: u64) -> Result<()> {
        check(self.bytes.len(), self.count, stack_limit)
    }

    /// How many strings.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The strings without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|&byte| byte == 0).take(self.count)
    }

    /// Puts `first` in place of the first string.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn replace_first(&mut self, first: &[&[u8]]) -> Result<()> {
        let mut new = Self::default();
        first.iter().try_for_each(|string| new.push(string))?;
        self.iter().skip(1).try_for_each(|string| new.push(string))?;
        *self = new;
        Ok(())
    }
}

/// What a program is called with.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// argv.
    pub arguments: Strings,
    /// envp.
    pub environment: Strings,
}

impl Arguments {
    /// E2BIG if they and their pointers take more than a quarter of RLIMIT_STACK (at least 128 KiB, at most 6 MiB; execve(2)).
    ///
    /// # Errors
    /// E2BIG.
    pub fn check(&self, stack_limit: u64) -> Result<()> {
        let strings = self.arguments.bytes.len() + self.environment.bytes.len();
        check(strings, self.arguments.count + self.environment.count, stack_limit)
    }
}

fn check(bytes: usize, count: usize, stack_limit: u64) -> Result<()> {
    let limit = (stack_limit / 4).clamp(FLOOR, CEILING);
    if (bytes + count * size_of::<u64>()) as u64 > limit {
        return Err(Error::with(Errno::E2BIG, "arguments and environment are too long"));
    }
    Ok(())
}
