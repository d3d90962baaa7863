//! The first page or so of a program's stack: argc, argv, envp, the auxiliary vector (System V ABI for x86-64, 3.4.1; getauxval(3)) and the
//! strings that they point to.

use super::arguments::Arguments;
use crate::error::{Errno, Error, Result};
use alloc::vec::Vec;
use core::ops::Range;
use ostd::mm::{Vaddr, VmWriter};

/// Keys of the auxiliary vector.
pub mod key {
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const PAGESZ: u64 = 6;
    pub const BASE: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const UID: u64 = 11;
    pub const EUID: u64 = 12;
    pub const GID: u64 = 13;
    pub const EGID: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const HWCAP: u64 = 16;
    pub const CLKTCK: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const HWCAP2: u64 = 26;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
    pub const MINSIGSTKSZ: u64 = 51;
}

/// What the stack holds, and where.
#[derive(Debug)]
pub struct Stack {
    bytes: Vec<u8>,
    /// The stack pointer: where argc is.
    pub pointer: Vaddr,
    /// The argument strings.
    pub arguments: Range<Vaddr>,
    /// The environment strings.
    pub environment: Range<Vaddr>,
    /// The auxiliary vector, its end included.
    pub auxv: Vec<(u64, u64)>,
}

impl Stack {
    /// Lays out a stack that ends at `top`. `auxv` gets what depends on the layout added (AT_RANDOM, AT_EXECFN, AT_PLATFORM).
    ///
    /// # Errors
    /// E2BIG.
    pub fn lay_out(
        top: Vaddr,
        arguments: &Arguments,
        file_name: &[u8],
        random: &[u8; 16],
        mut auxv: Vec<(u64, u64)>,
    ) -> Result<Self> {
        // Strings at the top, as Linux has them: tools find the name of the program there.
        let name_at = top - size_of::<u64>() - (file_name.len() + 1);
        let environment_at = name_at - arguments.environment.bytes().len();
        let arguments_at = environment_at - arguments.arguments.bytes().len();
        let platform = b"x86_64\0";
        let platform_at = arguments_at - platform.len();
        let random_at = (platform_at - random.len()) & !15;
        auxv.extend([
            (key::RANDOM, random_at as u64),
            (key::EXECFN, name_at as u64),
            (key::PLATFORM, platform_at as u64),
            (0, 0),
        ]);

        let counts = (arguments.arguments.count(), arguments.environment.count());
        let words = 1 + counts.0 + 1 + counts.1 + 1 + 2 * auxv.len();
        let pointer = (random_at - words * size_of::<u64>()) & !15;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(top - pointer).map_err(|_| Error::new(Errno::ENOMEM))?;
        let mut word = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
        word(counts.0 as u64);
        pointers(arguments_at, arguments.arguments.iter(), &mut word);
        pointers(environment_at, arguments.environment.iter(), &mut word);
        for &(key, value) in &auxv {
            word(key);
            word(value);
        }
        let mut put = |at: Vaddr, part: &[u8]| {
            bytes.resize(at - pointer, 0);
            bytes.extend_from_slice(part);
        };
        put(random_at, random);
        put(platform_at, platform);
        put(arguments_at, arguments.arguments.bytes());
        put(environment_at, arguments.environment.bytes());
        put(name_at, file_name);
        bytes.resize(top - pointer, 0);
        Ok(Self {
            bytes,
            pointer,
            arguments: arguments_at..environment_at,
            environment: environment_at..name_at,
            auxv,
        })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it into the active address space.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write(&self) -> Result<()> {
        Ok(VmWriter::from_user(self.pointer, self.bytes.len())?.write_all(&self.bytes)?)
    }
}

/// Pointers to strings that lie one after the other from `at` on, and a NULL.
fn pointers<'a>(mut at: Vaddr, strings: impl Iterator<Item = &'a [u8]>, word: &mut impl FnMut(u64)) {
    for string in strings {
        word(at as u64);
        at += string.len() + 1;
    }
    word(0);
}
