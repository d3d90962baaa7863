//! Open file descriptions (open(2)): flags, offset, and what serves them.

use super::vfs::inode::{DirEntry, Inode};
use super::vfs::notify::{self, Happening};
use super::vfs::place::Path;
use super::vfs::text_lock::Writing;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::mm::page_cache::PageCache;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
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

    /// Emits directory entries from the position on and moves it (getdents64).
    fn read_dir(&self, file: &OpenFile, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let _ = (file, emit);
        Err(Errno::ENOTDIR.into())
    }

    /// ftruncate(2); the file is open for writing.
    fn truncate(&self, file: &OpenFile, size: u64) -> Result<()> {
        let _ = (file, size);
        Err(Errno::EINVAL.into())
    }

    /// fallocate(2) of a regular file that is open for writing.
    fn allocate(&self, file: &OpenFile, mode: u32, offset: u64, len: u64) -> Result<()> {
        let _ = (file, mode, offset, len);
        Err(Errno::ENODEV.into())
    }

    /// fsync(2).
    fn sync(&self, file: &OpenFile) -> Result<()> {
        let _ = file;
        Err(Errno::EINVAL.into())
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

    /// Commands of fcntl(2) that only some files know (F_SETPIPE_SZ, F_ADD_SEALS).
    fn fcntl(&self, file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
        let _ = (file, command, argument);
        Err(Errno::EINVAL.into())
    }

    /// The pages that mmap(2) maps.
    fn page_cache<'a>(&'a self, file: &'a OpenFile) -> Result<&'a PageCache> {
        let _ = file;
        Err(Errno::ENODEV.into())
    }

    /// Bytes of memory that last as long as it is open, and no longer: what its holder is charged for when memory is short.
    fn kept_bytes(&self, file: &OpenFile) -> usize {
        let _ = file;
        0
    }

    /// A change of O_NONBLOCK, O_APPEND … by fcntl(F_SETFL) or FIONBIO: `flags` are already in the open file.
    fn flags_changed(&self, file: &OpenFile) {
        let _ = file;
    }

    /// A descriptor of this description was closed; there may be more.
    fn flush(&self, file: &OpenFile) {
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
    /// It keeps its mount from turning read-only and its file from being executed.
    writing: Option<Writing>,
    /// Whom F_SETOWN named: a process, or (negative) a group; and the signal of F_SETSIG. COMPAT: kept, but O_ASYNC sends nothing.
    signal_owner: AtomicI32,
    signal: AtomicU32,
}

/// `O_*` flags of open(2) and fcntl(2), as x86-64 numbers them.
pub mod flags {
    pub const O_ACCMODE: u32 = 0o3;
    pub const O_RDONLY: u32 = 0o0;
    pub const O_WRONLY: u32 = 0o1;
    pub const O_RDWR: u32 = 0o2;
    pub const O_CREAT: u32 = 0o100;
    pub const O_EXCL: u32 = 0o200;
    pub const O_NOCTTY: u32 = 0o400;
    pub const O_TRUNC: u32 = 0o1000;
    pub const O_APPEND: u32 = 0o2000;
    pub const O_NONBLOCK: u32 = 0o4000;
    pub const O_DSYNC: u32 = 0o10_000;
    pub const O_ASYNC: u32 = 0o20_000;
    pub const O_DIRECT: u32 = 0o40_000;
    pub const O_LARGEFILE: u32 = 0o100_000;
    pub const O_DIRECTORY: u32 = 0o200_000;
    pub const O_NOFOLLOW: u32 = 0o400_000;
    pub const O_NOATIME: u32 = 0o1_000_000;
    pub const O_CLOEXEC: u32 = 0o2_000_000;
    pub const O_SYNC: u32 = 0o4_010_000;
    pub const O_PATH: u32 = 0o10_000_000;
    pub const O_TMPFILE: u32 = 0o20_200_000;
}

impl OpenFile {
    /// A new description at position 0.
    pub fn new(path: Path, ops: Arc<dyn FileOps>, flags: u32) -> Arc<Self> {
        Arc::new(Self {
            path,
            ops,
            flags: AtomicU32::new(flags),
            position: Mutex::new(0),
            writing: None,
            signal_owner: AtomicI32::new(0),
            signal: AtomicU32::new(0),
        })
    }

    /// As [`Self::new`], and while it is open its mount cannot turn read-only.
    pub fn new_writer(path: Path, ops: Arc<dyn FileOps>, flags: u32, writing: Writing) -> Arc<Self> {
        path.mount.writer_added();
        Arc::new(Self {
            path,
            ops,
            flags: AtomicU32::new(flags),
            position: Mutex::new(0),
            writing: Some(writing),
            signal_owner: AtomicI32::new(0),
            signal: AtomicU32::new(0),
        })
    }

    /// Whom F_SETOWN named, and the signal of F_SETSIG.
    pub fn signal_target(&self) -> (&AtomicI32, &AtomicU32) {
        (&self.signal_owner, &self.signal)
    }

    /// What is behind it.
    pub fn inode(&self) -> Result<&Arc<dyn Inode>> {
        self.path.inode()
    }

    /// See [`FileOps::kept_bytes`].
    pub fn kept_bytes(&self) -> usize {
        self.ops.kept_bytes(self)
    }

    /// Whether it was opened for reading.
    pub fn is_readable(&self) -> bool {
        matches!(self.flags() & flags::O_ACCMODE, flags::O_RDONLY | flags::O_RDWR) && !self.is_path_only()
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        matches!(self.flags() & flags::O_ACCMODE, flags::O_WRONLY | flags::O_RDWR) && !self.is_path_only()
    }

    /// Whether it stands for a place only (O_PATH).
    pub fn is_path_only(&self) -> bool {
        self.flags() & flags::O_PATH != 0
    }

    /// Changes the flags in `mask` to `value` (F_SETFL, FIONBIO) and tells the ops.
    pub fn set_flags(&self, mask: u32, value: u32) {
        let update = |old: u32| Some((old & !mask) | (value & mask));
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        self.ops.flags_changed(self);
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
        self.flags.load(Ordering::Relaxed)
    }

    /// Whether O_NONBLOCK is set.
    pub fn is_nonblocking(&self) -> bool {
        self.flags() & flags::O_NONBLOCK != 0
    }

    /// The position.
    pub fn position(&self) -> &Mutex<u64> {
        &self.position
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.ops.release(self);
        if !self.is_path_only() {
            let how = if self.is_writable() { Happening::CLOSE_WRITE } else { Happening::CLOSE_NOWRITE };
            notify::report(&self.path.dentry, how);
        }
        super::vfs::file_lock::on_description_closed(self);
        if self.writing.is_some() {
            self.path.mount.writer_removed();
        }
    }
}
