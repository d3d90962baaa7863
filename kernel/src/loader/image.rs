//! What a path turns out to be when it is to be executed: after scripts' interpreters have been followed, an ELF file with its headers read,
//! and the program interpreter that it wants.

use super::arguments::Arguments;
use super::script;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::permission;
use crate::fs::vfs::place::Path;
use crate::fs::vfs::text_lock::Execution;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_elf::{HEADER_LEN, Header, Program};
use ostd::mm::{USER_END, VmWriter};

/// How many scripts may name each other.
const MAX_SCRIPTS: usize = 5;
/// How much of a file decides what it is (BINPRM_BUF_SIZE).
const HEAD_LEN: usize = 256;

/// An ELF file, its headers read.
#[derive(Debug)]
pub struct Elf {
    /// The file.
    pub file: Arc<OpenFile>,
    /// What keeps others from writing to it.
    pub execution: Execution,
    /// Its file header.
    pub header: Header,
    /// Its program headers.
    pub program: Program,
}

/// A program that can be loaded.
#[derive(Debug)]
pub struct Image {
    /// The ELF file: a script's interpreter, where the path named a script.
    pub elf: Elf,
    /// The program interpreter (PT_INTERP): the dynamic linker.
    pub interpreter: Option<Elf>,
}

impl Image {
    /// Finds out what `path` is. Scripts put their interpreter before `arguments`; `name` is how the script can be found again.
    ///
    /// # Errors
    /// As execve(2): EACCES, ENOENT, ENOEXEC, ELOOP, ELIBBAD.
    pub fn open(start: &LookupStart, path: Path, name: &[u8], arguments: &mut Arguments) -> Result<Self> {
        let (mut file, mut execution) = open_executable(start, path)?;
        let mut name = name.to_vec();
        for _ in 0..=MAX_SCRIPTS {
            let mut head = [0; HEAD_LEN];
            let len = read(&file, 0, &mut head)?;
            let head = &head[..len];
            if !head.starts_with(b"#!") {
                return Self::from_elf(start, (file, execution), head);
            }
            let (interpreter, argument) = script::parse(head, len < HEAD_LEN).ok_or(Errno::ENOEXEC)?;
            let mut first: Vec<&[u8]> = alloc::vec![interpreter];
            first.extend(argument);
            first.push(&name);
            arguments.arguments.replace_first(&first)?;
            let found = lookup::lookup(start, interpreter, LookupFlags::FOLLOW)?;
            name = interpreter.to_vec();
            (file, execution) = open_executable(start, found)?;
        }
        Err(Error::with(Errno::ELOOP, "scripts name scripts too deeply"))
    }

    fn from_elf(start: &LookupStart, opened: Opened, head: &[u8]) -> Result<Self> {
        let elf = Elf::read(opened, head)?;
        let Some(range) = elf.program.interpreter.clone() else {
            return Self { elf, interpreter: None }.checked();
        };
        let mut name = alloc::vec![0; (range.end - range.start) as usize];
        read_exact(&elf.file, range.start, &mut name)?;
        let Some((0, name)) = name.split_last() else { return Err(Errno::ENOEXEC.into()) };
        let found = lookup::lookup(start, name, LookupFlags::FOLLOW)?;
        let opened = open_executable(start, found)?;
        let mut head = [0; HEADER_LEN];
        let len = read(&opened.0, 0, &mut head)?;
        let interpreter = Elf::read(opened, &head[..len]).map_err(|_| Errno::ELIBBAD)?;
        Self { elf, interpreter: Some(interpreter) }.checked()
    }

    /// Refuses files with nothing to load.
    fn checked(self) -> Result<Self> {
        let is_empty = |elf: &Elf| elf.program.segments.is_empty();
        if is_empty(&self.elf) {
            return Err(Error::with(Errno::ENOEXEC, "nothing to load"));
        }
        if self.interpreter.as_ref().is_some_and(is_empty) {
            return Err(Error::with(Errno::ELIBBAD, "nothing to load in the interpreter"));
        }
        Ok(self)
    }
}

impl Elf {
    fn read((file, execution): Opened, head: &[u8]) -> Result<Self> {
        let malformed = |malformed: coffer_elf::Malformed| Error::with(Errno::ENOEXEC, malformed.0);
        let header = Header::parse(head).map_err(malformed)?;
        let mut table = alloc::vec![0; header.table_bytes()];
        read_exact(&file, header.table_offset, &mut table)?;
        let program = Program::parse(&header, &table, USER_END as u64).map_err(malformed)?;
        Ok(Self { file, execution, header, program })
    }
}

/// A file and what keeps others from writing to it.
type Opened = (Arc<OpenFile>, Execution);

/// Opens a file to execute it.
///
/// # Errors
/// EACCES: not a regular file, no permission, or a mount that forbids it. ETXTBSY: somebody has it open for writing.
fn open_executable(start: &LookupStart, path: Path) -> Result<Opened> {
    let access = path.inode()?.access();
    if access.file_type != FileType::Regular {
        return Err(Error::with(Errno::EACCES, "not a regular file"));
    }
    if path.mount.flags().contains(MountFlags::NO_EXEC) {
        return Err(Error::with(Errno::EACCES, "the mount forbids execution"));
    }
    permission::check_access(&access, &start.credentials, permission::EXECUTE)?;
    let execution = Execution::begin(path.inode()?)?;
    Ok((path.open(0)?, execution))
}

fn read(file: &OpenFile, offset: u64, out: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < out.len() {
        let mut writer = VmWriter::from_slice(&mut out[done..]);
        match file.ops().read_at(file, offset + done as u64, &mut writer)? {
            0 => break,
            len => done += len,
        }
    }
    Ok(done)
}

fn read_exact(file: &OpenFile, offset: u64, out: &mut [u8]) -> Result<()> {
    if read(file, offset, out)? == out.len() { Ok(()) } else { Err(Errno::ENOEXEC.into()) }
}
