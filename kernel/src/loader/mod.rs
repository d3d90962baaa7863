//! From a file to a program in memory, in two steps around execve's point of no return: [`Executable::open`] finds out whether it can be run
//! (and runs through `#!` scripts), [`Executable::load`] maps it and builds its stack.

mod map;
mod script;
mod stack;

pub use stack::{Arguments, Identity};

use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::O_RDONLY;
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::lookup::{LookupFlags, LookupStart, lookup};
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::permission;
use crate::fs::vfs::place::Path;
use crate::mm::AddressSpace;
use alloc::sync::Arc;
use coffer_elf::{Header, Program};
use core::ops::Range;
use ostd::mm::{USER_END, VmWriter};

/// How many interpreters deep a script may be (as Linux).
const MAX_SCRIPTS: usize = 4;
/// The bytes of a file that decide what it is: a header, or a `#!` line.
const HEAD_LEN: usize = 256;

/// A file that can be run, with its interpreter.
#[derive(Debug)]
pub struct Executable {
    /// The program, or the last interpreter of a script.
    file: Arc<OpenFile>,
    program: Program,
    interpreter: Option<(Arc<OpenFile>, Program)>,
}

/// Where a loaded program starts, and what /proc tells of it.
#[derive(Debug)]
pub struct Start {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer at the first instruction.
    pub stack_pointer: u64,
    /// Where the argument strings lie.
    pub arguments: Range<usize>,
    /// Where the environment strings lie.
    pub environment: Range<usize>,
    /// The auxiliary vector.
    pub auxv: Arc<[(u64, u64)]>,
}

impl Executable {
    /// Finds out how to run `path`, which `name` led to. Scripts put their interpreter before the arguments.
    ///
    /// # Errors
    /// As execve(2): EACCES, ENOEXEC, ELOOP, ENOENT, E2BIG …
    pub fn open(start: &LookupStart, path: Path, name: &[u8], arguments: &mut Arguments) -> Result<Self> {
        let mut path = path;
        let mut name = name.to_vec();
        for _ in 0..=MAX_SCRIPTS {
            let file = open_for_execution(start, path)?;
            let mut head = [0; HEAD_LEN];
            let len = read_at(&file, 0, &mut head)?;
            match script::parse(&head[..len])? {
                None => return Self::from_elf(start, file, &head[..len]),
                Some(line) => {
                    arguments.prepend_interpreter(line.interpreter, line.argument, &name)?;
                    path = lookup(start, line.interpreter, LookupFlags::FOLLOW)?;
                    name = line.interpreter.to_vec();
                }
            }
        }
        Err(Errno::ELOOP.into())
    }

    fn from_elf(start: &LookupStart, file: Arc<OpenFile>, head: &[u8]) -> Result<Self> {
        let program = read_program(&file, head)?;
        let interpreter = match program.interpreter {
            None => None,
            Some((offset, len)) => {
                let mut name = alloc::vec![0; len as usize];
                if read_at(&file, offset, &mut name)? != name.len()
                    || name.pop() != Some(0)
                    || name.contains(&0)
                {
                    return Err(Error::with(Errno::ENOEXEC, "interpreter's path is not a string"));
                }
                let path = lookup(start, &name, LookupFlags::FOLLOW)?;
                let file = open_for_execution(start, path)?;
                let mut head = [0; HEAD_LEN];
                let len = read_at(&file, 0, &mut head)?;
                // The errno of a broken interpreter is its own (execve(2)).
                let program = read_program(&file, &head[..len]).map_err(|_| Error::new(Errno::ELIBBAD))?;
                Some((file, program))
            }
        };
        Ok(Self { file, program, interpreter })
    }

    /// The file that is mapped: whose set-user-ID bits and capabilities count, and what /proc/PID/exe shows.
    pub fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    /// Maps program and interpreter into `space`, which is empty and the current one, and builds the stack.
    ///
    /// # Errors
    /// ENOMEM, or whatever the mapping says. The old program is gone by then: the caller ends the process.
    pub fn load(&self, space: &AddressSpace, arguments: &Arguments, identity: &Identity) -> Result<Start> {
        let placed = map::program(space, &self.file, &self.program, space.layout().program)?;
        space.set_heap_start(placed.end + space.layout().heap_gap);
        let (entry, base) = match &self.interpreter {
            None => (placed.entry, 0),
            Some((file, program)) => {
                let interpreter = map::interpreter(space, file, program)?;
                (interpreter.entry, interpreter.base)
            }
        };
        let program = stack::Entry {
            program: placed.entry,
            headers: placed.table.unwrap_or(0),
            header_count: self.program.header.table_count as u64,
            interpreter: base,
            vdso: 0,
        };
        let built = stack::build(space, arguments, identity, &program, self.program.needs_executable_stack)?;
        Ok(Start { entry, ..built })
    }
}

/// Opens a regular file that the caller may execute.
fn open_for_execution(start: &LookupStart, path: Path) -> Result<Arc<OpenFile>> {
    let inode = path.inode()?.clone();
    let access = inode.access();
    let is_allowed =
        access.file_type == FileType::Regular && !path.mount.flags().contains(MountFlags::NO_EXEC);
    if !is_allowed {
        return Err(Errno::EACCES.into());
    }
    permission::check_access(&access, &start.credentials, permission::EXECUTE)?;
    path.open(O_RDONLY)
}

fn read_program(file: &Arc<OpenFile>, head: &[u8]) -> Result<Program> {
    let refuse = |_| Error::with(Errno::ENOEXEC, "not a program for this machine");
    let header = Header::parse(head).map_err(refuse)?;
    let mut table = alloc::vec![0; header.table_len()];
    if read_at(file, header.table_offset, &mut table)? != table.len() {
        return Err(Error::with(Errno::ENOEXEC, "program headers lie past the end of the file"));
    }
    Program::parse(header, &table, USER_END as u64).map_err(refuse)
}

/// Reads until `bytes` is full or the file ends.
fn read_at(file: &Arc<OpenFile>, offset: u64, bytes: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let mut writer = VmWriter::from_slice(&mut bytes[done..]);
        match file.ops().read_at(file, offset + done as u64, &mut writer)? {
            0 => break,
            len => done += len,
        }
    }
    Ok(done)
}
