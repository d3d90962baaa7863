//! Directories of processes and threads.

use super::Subject;
use super::entries::Entries;
use super::subject::Class;
use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Emit, Listing, Owner, Volume};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::process::Process;
use crate::process::namespace::pid::PidNamespace;
use alloc::format;
use alloc::sync::Arc;

/// The processes of a namespace: the numbers in /proc.
#[derive(Debug)]
pub struct Processes {
    volume: Arc<Volume>,
    namespace: Arc<PidNamespace>,
}

/// /proc/PID/task.
#[derive(Debug)]
pub struct Threads(pub Subject);

impl Processes {
    /// Those of `namespace`.
    pub fn new(volume: &Arc<Volume>, namespace: &Arc<PidNamespace>) -> Self {
        Self { volume: volume.clone(), namespace: namespace.clone() }
    }

    fn process(&self, name: &[u8]) -> Result<Arc<Process>> {
        let id = self.namespace.find(number(name)?).ok_or(Errno::ENOENT)?;
        // A thread's own number leads to its process as well, though it is not listed.
        let process = id.process().or_else(|| id.thread().map(|thread| thread.process().clone()));
        process.ok_or(Errno::ENOENT.into())
    }
}

impl Listing for Processes {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let subject = Subject::of_process(&self.volume, &self.namespace, &self.process(name)?);
        Ok(directory(subject, Class::Process))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        let mut from = u32::try_from(from).unwrap_or(u32::MAX).max(1);
        while let Some((number, id)) = self.namespace.next_from(from) {
            from = number + 1;
            let Some(process) = id.process() else { continue };
            let subject = Subject::of_process(&self.volume, &self.namespace, &process);
            let ino = subject.ino(Class::Process, 0);
            if !emit(format!("{number}").as_bytes(), ino, FileType::Directory, u64::from(from)) {
                break;
            }
        }
        Ok(())
    }

    fn is_current(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let Ok(process) = self.process(name) else { return false };
        let subject = Subject::of_process(&self.volume, &self.namespace, &process);
        child.metadata().ino == subject.ino(Class::Process, 0)
    }
}

impl Threads {
    fn thread(&self, name: &[u8]) -> Result<Arc<crate::thread::Thread>> {
        let thread = self.0.namespace.find(number(name)?).and_then(|id| id.thread()).ok_or(Errno::ENOENT)?;
        if self.0.is(thread.process()) { Ok(thread) } else { Err(Errno::ENOENT.into()) }
    }
}

impl Listing for Threads {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(directory(self.0.with_thread(&self.thread(name)?), Class::Task))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        let mut threads = self.0.process()?.threads();
        threads.sort_unstable_by_key(|thread| thread.tid_in(&self.0.namespace));
        for thread in threads {
            let tid = thread.tid_in(&self.0.namespace);
            let ino = self.0.with_thread(&thread).ino(Class::Task, 0);
            let is_wanted = u64::from(tid) >= from;
            if is_wanted && !emit(format!("{tid}").as_bytes(), ino, FileType::Directory, u64::from(tid) + 1) {
                break;
            }
        }
        Ok(())
    }

    fn is_current(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let Ok(thread) = self.thread(name) else { return false };
        child.metadata().ino == self.0.with_thread(&thread).ino(Class::Task, 0)
    }

    fn owner(&self) -> Owner {
        self.0.owner()
    }
}

/// A number as it names a process: without signs and leading zeros.
pub(super) fn number(name: &[u8]) -> Result<u32> {
    let is_plain = name.iter().all(u8::is_ascii_digit) && (name.len() == 1 || name.first() != Some(&b'0'));
    let number = core::str::from_utf8(name).ok().filter(|_| is_plain).and_then(|name| name.parse().ok());
    number.ok_or(Errno::ENOENT.into())
}

fn directory(subject: Subject, class: Class) -> Arc<dyn Inode> {
    let volume = subject.volume.clone();
    let face = volume.face(subject.ino(class, 0), FileType::Directory, 0o555);
    Directory::with_listing(&volume, face, Entries(subject))
}
