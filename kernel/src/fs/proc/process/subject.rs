//! Who a file tells of. It holds no process: files in a cache must not keep one.

use crate::error::{Errno, Result};
use crate::fs::synthetic::{Owner, Volume};
use crate::fs::vfs::place::Path;
use crate::mm::AddressSpace;
use crate::process::Process;
use crate::process::credentials::{Capability, Credentials};
use crate::process::namespace::pid::PidNamespace;
use crate::thread::{Surroundings, Thread};
use alloc::sync::{Arc, Weak};

/// A process, or one thread of it, as seen from a pid namespace.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) volume: Arc<Volume>,
    pub(super) namespace: Arc<PidNamespace>,
    process: Weak<Process>,
    /// `None`: the process as a whole.
    thread: Option<Weak<Thread>>,
    /// In the initial namespace, for inode numbers.
    id: u32,
}

/// Kinds of objects, for inode numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Class {
    /// What is in /proc/PID.
    Process = 0,
    /// What is in /proc/PID/task/TID.
    Thread = 1,
    /// What is in fd.
    Fd = 2,
    /// What is in fdinfo.
    FdInfo = 3,
    /// What is in ns.
    Namespace = 4,
    /// A thread's directory.
    Task = 5,
}

impl Subject {
    /// All of a process.
    pub fn of_process(volume: &Arc<Volume>, namespace: &Arc<PidNamespace>, process: &Arc<Process>) -> Self {
        Self {
            volume: volume.clone(),
            namespace: namespace.clone(),
            process: Arc::downgrade(process),
            thread: None,
            id: process.pid(),
        }
    }

    /// One of its threads.
    pub fn with_thread(&self, thread: &Arc<Thread>) -> Self {
        Self { thread: Some(Arc::downgrade(thread)), id: thread.tid(), ..self.clone() }
    }

    /// Whether it is one thread.
    pub fn is_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// The process; ESRCH once it is gone.
    pub fn process(&self) -> Result<Arc<Process>> {
        // Somebody may hold it a moment longer than its parent wanted to know of it.
        self.process.upgrade().filter(|process| !process.is_claimed()).ok_or(Errno::ESRCH.into())
    }

    /// The thread, or the process's first; ESRCH once it is gone.
    pub fn thread(&self) -> Result<Arc<Thread>> {
        match &self.thread {
            Some(thread) => thread.upgrade().ok_or(Errno::ESRCH.into()),
            None => self.process()?.first_thread().ok_or(Errno::ESRCH.into()),
        }
    }

    /// The memory; `None` for zombies.
    pub fn memory(&self) -> Result<Option<Arc<AddressSpace>>> {
        Ok(self.process()?.address_space())
    }

    /// Whether it is `process`, and that still there.
    pub fn is(&self, process: &Arc<Process>) -> bool {
        self.process.as_ptr() == Arc::as_ptr(process)
    }

    /// An inode number.
    pub fn ino(&self, class: Class, number: u64) -> u64 {
        u64::from(self.id) << 36 | (class as u64) << 32 | number
    }

    /// Who owns its files: the process's effective ids, or root for one that must not be looked into.
    pub fn owner(&self) -> Owner {
        match self.process() {
            Ok(process) if process.dumpable() == 1 => {
                let credentials = process.credentials();
                (credentials.uid[1], credentials.gid[1])
            }
            _ => (0, 0),
        }
    }

    /// What ptrace(2) calls PTRACE_MODE_READ: the reader is the same user with the same rights, or may trace others.
    ///
    /// # Errors
    /// EACCES.
    pub fn check_access(&self) -> Result<Arc<Process>> {
        let process = self.process()?;
        let Some(reader) = Thread::current() else { return Ok(process) };
        if Arc::ptr_eq(reader.process(), &process) {
            return Ok(process);
        }
        let (own, other) = (reader.process().credentials(), process.credentials());
        if own.has_in(&other.user, Capability::SysPtrace)
            || (process.dumpable() == 1 && is_same_user(&own, &other))
        {
            return Ok(process);
        }
        Err(Errno::EACCES.into())
    }

    /// What is around the thread, or the process's first; `None` for zombies.
    pub fn surroundings(&self) -> Result<Option<Surroundings>> {
        self.process()?;
        Ok(self.thread().ok().and_then(|thread| thread.surroundings()))
    }

    /// Its root directory and working directory; ENOENT for zombies.
    pub fn place(&self) -> Result<(Path, Path)> {
        self.check_access()?;
        Ok(self.surroundings()?.ok_or(Errno::ENOENT)?.place.both())
    }
}

/// The reader's file-system ids against the real, effective and saved ones; and no capability that the reader lacks, which can be told in one user
/// namespace only.
fn is_same_user(reader: &Credentials, other: &Credentials) -> bool {
    Arc::ptr_eq(&reader.user, &other.user)
        && other.uid[..3].iter().all(|&uid| uid == reader.fsuid())
        && other.gid[..3].iter().all(|&gid| gid == reader.fsgid())
        && other.capabilities[0] & !reader.capabilities[0] == 0
}

/// The reader's root directory: names of places are given as seen from there.
pub fn reader_root() -> Result<Path> {
    let thread = Thread::current().ok_or(Errno::ESRCH)?;
    Ok(thread.place().root())
}
