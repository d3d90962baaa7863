//! Open file descriptions (open(2)): flags, offset, and what serves them.

use super::vfs::place::Path;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::mm::page_cache::PageCache;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::AtomicU32;
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::Mutex;

/// What an open file does. Regular files and directories are served by the VFS's own implementation over an inode; pipes, sockets, ttys,
/// eventfd, epoll, devices bring theirs. Everything that a type does not override answers with the errno that Linux gives for it.
pub trait FileOps: Any + Send + Sync + core::fmt::Debug {
    /// Reads at the current position (or from a stream); blocks unless O_NONBLOCK.
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let _ = (file, writer);
        Err(Errno::EINVAL.into())
    }

    /// Writes at the current position (or to a stream); blocks unless O_NONBLOCK. EPIPE comes without SIGPIPE: the caller of the system call sends it.
    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let _ = (file, reader);
        Err(Errno::EINVAL.into())
    }

    /// pread(2).
    fn read_at(&self, file: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let _ = (file, offset, writer);
        Err(Errno::ESPIPE.into())
    }

    /// pwrite(2).
    fn write_at(&self, file: &OpenFile, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let _ = (file, offset, reader);
        Err(Errno::ESPIPE.into())
    }

    /// lseek(2).
    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        let _ = (file, offset, whence);
        Err(Errno::ESPIPE.into())
    }

    /// What is ready now.
    fn poll(&self, file: &OpenFile) -> IoEvents {
        let _ = file;
        IoEvents::IN | IoEvents::OUT | IoEvents::RDNORM | IoEvents::WRNORM
    }

    /// Who to register with for changes; `None`: readiness never changes (epoll refuses such files with EPERM).
    fn pollee(&self) -> Option<&Pollee> {
        None
    }

    /// ioctl(2).
    fn ioctl(
        &self,
        file: &OpenFile,
        command: u32,
        argument: usize,
        context: &mut Context<'_>,
    ) -> Result<isize> {
        let _ = (file, command, argument, context);
        Err(Errno::ENOTTY.into())
    }

    /// The pages that mmap(2) maps.
    fn page_cache(&self, file: &OpenFile) -> Result<&PageCache> {
        let _ = file;
        Err(Errno::ENODEV.into())
    }

    /// A change of O_NONBLOCK, O_APPEND … by fcntl(F_SETFL) or FIONBIO: `flags` are already in the open file.
    fn flags_changed(&self, file: &OpenFile) {
        let _ = file;
    }

    /// The last descriptor of this description was closed.
    fn release(&self, file: &OpenFile) {
        let _ = file;
    }
}

/// An open file description, shared by dup(2) and fork(2).
#[derive(Debug)]
pub struct OpenFile {
    /// Where it was found; anonymous objects have a path in their own pseudo mount (`pipe:[7]`, `anon_inode:[eventfd]`).
    path: Path,
    ops: Arc<dyn FileOps>,
    /// O_* status flags and access mode.
    flags: AtomicU32,
    /// The position; held for the length of a read or write, as POSIX demands of regular files.
    position: Mutex<u64>,
}

impl OpenFile {
    /// A new description at position 0.
    pub fn new(path: Path, ops: Arc<dyn FileOps>, flags: u32) -> Arc<Self> {
        Arc::new(Self { path, ops, flags: AtomicU32::new(flags), position: Mutex::new(0) })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What serves it.
    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }

    /// The ops as a concrete type, if they are one.
    pub fn downcast<T: FileOps>(&self) -> Option<&T> {
        (&*self.ops as &dyn Any).downcast_ref()
    }

    /// O_* flags now.
    pub fn flags(&self) -> u32 {
        self.flags.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Whether O_NONBLOCK is set.
    pub fn is_nonblocking(&self) -> bool {
        self.flags() & 0o4000 != 0
    }

    /// The position.
    pub fn position(&self) -> &Mutex<u64> {
        &self.position
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let ops = self.ops.clone();
        ops.release(self);
    }
}
