//! The smallest ELF files that run, byte by byte (elf(5)), and their variations.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::program;
use crate::case::{Failure, Outcome, cases, check_eq};

cases!("elf":
    a_minimal_program_runs,
    a_position_independent_program_runs,
    zero_initialised_memory_is_zero,
    an_executable_without_a_stack_header_runs,
    a_missing_interpreter_fails_with_enoent,
);

/// An ELF file with one header and one loadable segment that holds the whole file.
#[derive(Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
}

const BASE: u64 = 0x40_0000;
const CODE: usize = 64 + 56;

impl Image {
    /// A program for a fixed address whose code is `code`.
    pub fn new(code: &[u8]) -> Self {
        Self::with(2, BASE, code, 0)
    }

    /// `kind` is ET_EXEC (2) or ET_DYN (3); `zeroed` bytes of memory follow the file's.
    pub fn with(kind: u16, base: u64, code: &[u8], zeroed: u64) -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for half in [kind, 62] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(1_u32.to_le_bytes());
        for word in [base + CODE as u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 0, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        // PT_LOAD, readable, writable and executable.
        for word in [1_u32, 7] {
            bytes.extend(word.to_le_bytes());
        }
        let size = (CODE + code.len()) as u64;
        for word in [0, base, base, size, size + zeroed, 4096] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend_from_slice(code);
        Self { bytes }
    }

    /// The file with some bytes replaced.
    pub fn patched(&self, at: usize, bytes: &[u8]) -> Self {
        let mut image = self.clone();
        image.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        image
    }

    /// Writes and runs it: its exit code, or minus the signal that ended it.
    pub fn run(&self) -> std::io::Result<i32> {
        program("image", &self.bytes)?;
        let status = Command::new("./image").status();
        std::fs::remove_file("image")?;
        let status = status?;
        Ok(status.code().or(status.signal().map(|signal| -signal)).unwrap_or(999))
    }
}

/// `mov edi, 42; mov eax, 60; syscall`: exit(42).
pub const EXIT_42: [u8; 12] = [0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

fn a_minimal_program_runs() -> Outcome {
    check_eq!(Image::new(&EXIT_42).run()?, 42);
    Ok(())
}

fn a_position_independent_program_runs() -> Outcome {
    check_eq!(Image::with(3, 0, &EXIT_42, 0).run()?, 42);
    Ok(())
}

fn zero_initialised_memory_is_zero() -> Outcome {
    // Sums the bytes that follow the file's, up to the end of that page and on the next.
    let code = [
        0x31, 0xff, // xor edi, edi
        0xbe, 0x00, 0x10, 0x40, 0x00, // mov esi, 0x401000
        0xb9, 0x00, 0x10, 0x00, 0x00, // mov ecx, 4096
        0x0f, 0xb6, 0x16, // 1: movzx edx, byte [rsi]
        0x01, 0xd7, // add edi, edx
        0x48, 0xff, 0xc6, // inc rsi
        0xe2, 0xf6, // loop 1b
        0x40, 0x8a, 0x3c, 0x25, 0xff, 0x0f, 0x40, 0x00, // mov dil, [0x400fff]
        0xb8, 60, 0, 0, 0, 0x0f, 0x05, // exit(edi)
    ];
    check_eq!(Image::with(2, BASE, &code, 8192).run()?, 0);
    Ok(())
}

fn an_executable_without_a_stack_header_runs() -> Outcome {
    // push and pop use the stack that the kernel made.
    let mut code = vec![0x50, 0x58];
    code.extend_from_slice(&EXIT_42);
    check_eq!(Image::new(&code).run()?, 42);
    Ok(())
}

fn a_missing_interpreter_fails_with_enoent() -> Outcome {
    let name = b"/no/such/loader\0";
    let mut image = Image::with(3, 0, &EXIT_42, 0);
    let at = image.bytes.len();
    image.bytes.extend_from_slice(name);
    // Turn the one segment into PT_INTERP.
    let image = image.patched(64, &3_u32.to_le_bytes()).patched(64 + 8, &(at as u64).to_le_bytes());
    let image = image.patched(64 + 32, &(name.len() as u64).to_le_bytes());
    match image.run() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => Err(Failure::wrong(format!("{other:?} instead of ENOENT"))),
    }
}
