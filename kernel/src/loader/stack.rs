//! The initial stack (System V ABI, x86-64 supplement 3.4.1): strings on top, then the auxiliary vector, environment, arguments and their
//! count, where the stack pointer stands.

use super::Start;
use crate::error::{Errno, Result};
use crate::mm::AddressSpace;
use crate::mm::area::AreaFlags;
use crate::mm::limits::Limits;
use crate::mm::map::{MapRequest, Place};
use alloc::vec::Vec;
use ostd::mm::{PAGE_SIZE, PageFlags, VmWriter, page_down};

/// Longest single argument or environment string with its NUL (MAX_ARG_STRLEN).
pub const MAX_STRING_LEN: usize = 32 * PAGE_SIZE;
/// What strings and pointers may always take (ARG_MAX).
const MIN_TOTAL: usize = 32 * PAGE_SIZE;
/// What they may take at most, however large the stack (as Linux: three quarters of the default 8 MiB).
const MAX_TOTAL: usize = 6 << 20;

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_FLAGS: u64 = 8;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_PLATFORM: u64 = 15;
const AT_HWCAP: u64 = 16;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;
const AT_MINSIGSTKSZ: u64 = 51;

/// HWCAP2_FSGSBASE: WRFSBASE and its kin work in ring 3, as ostd demands of every CPU.
const HWCAP2_FSGSBASE: u64 = 2;
const CLOCK_TICKS: u64 = 100;
/// Signal frame without extended state (`struct rt_sigframe`), rounded up, and its alignment.
const SIGNAL_FRAME_LEN: u64 = 512;
const PLATFORM: &[u8] = b"x86_64\0";
const RANDOM_LEN: usize = 16;

/// The strings of execve(2).
#[derive(Debug)]
pub struct Arguments {
    /// The path as it was given (AT_EXECFN).
    pub path: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
    /// RLIMIT_STACK, which bounds them.
    pub stack_limit: u64,
}

/// Who runs the program.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Real and effective user id.
    pub uid: (u32, u32),
    /// Real and effective group id.
    pub gid: (u32, u32),
    /// Whether it has more rights than its caller (AT_SECURE).
    pub is_secure: bool,
}

/// What the auxiliary vector says of the program.
pub(super) struct Entry {
    pub(super) program: u64,
    pub(super) headers: u64,
    pub(super) header_count: u64,
    pub(super) interpreter: u64,
    pub(super) vdso: u64,
}

impl Arguments {
    /// What a script's interpreter gets: itself, the line's argument, the script, and the arguments behind the first.
    ///
    /// # Errors
    /// E2BIG.
    pub fn prepend_interpreter(
        &mut self,
        interpreter: &[u8],
        argument: Option<&[u8]>,
        script: &[u8],
    ) -> Result<()> {
        let mut argv = alloc::vec![interpreter.to_vec()];
        argv.extend(argument.map(<[u8]>::to_vec));
        argv.push(script.to_vec());
        argv.extend(self.argv.drain(..).skip(1));
        self.argv = argv;
        self.check()
    }

    /// Checks the size against what the stack may hold.
    ///
    /// # Errors
    /// E2BIG.
    pub fn check(&self) -> Result<()> {
        let limit = usize::try_from(self.stack_limit / 4).unwrap_or(MAX_TOTAL).clamp(MIN_TOTAL, MAX_TOTAL);
        let strings = || self.argv.iter().chain(&self.envp);
        let total =
            strings().map(|string| string.len() + 1 + size_of::<u64>()).sum::<usize>() + self.path.len();
        if total > limit || strings().any(|string| string.len() >= MAX_STRING_LEN) {
            return Err(Errno::E2BIG.into());
        }
        Ok(())
    }
}

/// Maps the stack into `space`, the current one, and fills its top.
pub(super) fn build(
    space: &AddressSpace,
    arguments: &Arguments,
    identity: &Identity,
    entry: &Entry,
    is_executable: bool,
) -> Result<Start> {
    let top = space.layout().stack_top;
    let mut random = [0; RANDOM_LEN];
    crate::random::fill(&mut random);

    // Strings, upwards: what needs no pointer, arguments, environment, the path.
    let mut strings: Vec<u8> = Vec::new();
    strings.extend(PLATFORM);
    strings.extend(random);
    let mut offsets = Vec::new();
    let argument_start = strings.len();
    let mut environment_start = argument_start;
    for (index, string) in arguments.argv.iter().chain(&arguments.envp).enumerate() {
        if index == arguments.argv.len() {
            environment_start = strings.len();
        }
        offsets.push(strings.len());
        strings.extend(string);
        strings.push(0);
    }
    if arguments.envp.is_empty() {
        environment_start = strings.len();
    }
    let path_start = strings.len();
    strings.extend(&arguments.path);
    strings.push(0);
    // The last word of the stack is zero, as debuggers expect.
    let base = (top - size_of::<u64>() - strings.len()) & !15;
    let at = |offset: usize| (base + offset) as u64;

    let auxv = [
        (AT_SYSINFO_EHDR, entry.vdso),
        (AT_MINSIGSTKSZ, SIGNAL_FRAME_LEN + 64 + ostd::user::xsave_len() as u64),
        (AT_HWCAP, ostd::cpu::hwcap()),
        (AT_PAGESZ, PAGE_SIZE as u64),
        (AT_CLKTCK, CLOCK_TICKS),
        (AT_PHDR, entry.headers),
        (AT_PHENT, coffer_elf::PROGRAM_HEADER_LEN as u64),
        (AT_PHNUM, entry.header_count),
        (AT_BASE, entry.interpreter),
        (AT_FLAGS, 0),
        (AT_ENTRY, entry.program),
        (AT_UID, u64::from(identity.uid.0)),
        (AT_EUID, u64::from(identity.uid.1)),
        (AT_GID, u64::from(identity.gid.0)),
        (AT_EGID, u64::from(identity.gid.1)),
        (AT_SECURE, u64::from(identity.is_secure)),
        (AT_RANDOM, at(PLATFORM.len())),
        (AT_HWCAP2, HWCAP2_FSGSBASE),
        (AT_EXECFN, at(path_start)),
        (AT_PLATFORM, at(0)),
        (AT_NULL, 0),
    ];
    let auxv: Vec<(u64, u64)> =
        auxv.into_iter().filter(|&(kind, value)| kind != AT_SYSINFO_EHDR || value != 0).collect();

    let mut words: Vec<u64> = alloc::vec![arguments.argv.len() as u64];
    words.extend(offsets[..arguments.argv.len()].iter().map(|&offset| at(offset)));
    words.push(0);
    words.extend(offsets[arguments.argv.len()..].iter().map(|&offset| at(offset)));
    words.push(0);
    words.extend(auxv.iter().flat_map(|&(kind, value)| [kind, value]));
    let stack_pointer = (base - words.len() * size_of::<u64>()) & !15;

    let bottom = page_down(stack_pointer) - 32 * PAGE_SIZE;
    let mut rights = PageFlags::READ | PageFlags::WRITE;
    rights.set(PageFlags::EXECUTE, is_executable);
    let mut request = MapRequest::anonymous(Place::Fixed(bottom), top - bottom, rights);
    request.flags = AreaFlags::GROWS_DOWN | AreaFlags::STACK;
    space.map(&request, &Limits::none(u64::MAX))?;

    VmWriter::from_user(base, strings.len())?.write_all(&strings)?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    VmWriter::from_user(stack_pointer, bytes.len())?.write_all(&bytes)?;
    Ok(Start {
        entry: 0,
        stack_pointer: stack_pointer as u64,
        arguments: base + argument_start..base + environment_start,
        environment: base + environment_start..base + path_start,
        auxv: auxv.into(),
    })
}
