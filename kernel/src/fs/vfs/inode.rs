//! What a file system provides for each of its objects.

use crate::error::{Errno, Result};
use crate::fs::open_file::FileOps;
use crate::mm::page_cache::PageCache;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use ostd::mm::{VmReader, VmWriter};

/// Seconds and nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, below 10^9.
    pub nanos: u32,
}

/// The type bits of `st_mode` (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FileType {
    /// FIFO.
    Fifo = 0o010_000,
    /// Character device.
    CharDevice = 0o020_000,
    /// Directory.
    Directory = 0o040_000,
    /// Block device.
    BlockDevice = 0o060_000,
    /// Regular file.
    Regular = 0o100_000,
    /// Symbolic link.
    Symlink = 0o120_000,
    /// Socket.
    Socket = 0o140_000,
}

/// What stat(2) says.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type.
    pub file_type: FileType,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 12 bits.
    pub permissions: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number, of device nodes.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// 512-byte blocks in use.
    pub blocks: u64,
    /// Preferred I/O size.
    pub block_size: u32,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of contents.
    pub modified: Timestamp,
    /// Last change of the inode.
    pub changed: Timestamp,
}

/// What chmod, chown, utimensat and truncate change; `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// 12 permission bits.
    pub permissions: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Last access.
    pub accessed: Option<Timestamp>,
    /// Last change of contents.
    pub modified: Option<Timestamp>,
}

/// What to make in a directory.
#[derive(Clone, Debug)]
pub enum NewInode<'a> {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link to these bytes.
    Symlink(&'a [u8]),
    /// A FIFO, socket or device node of the given type and number.
    Node(FileType, u64),
}

/// What to rename, seen from the directory that it is in.
#[derive(Clone, Copy, Debug)]
pub struct Renaming<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What has that name.
    pub moving: &'a Arc<dyn Inode>,
    /// Where it goes: a directory of the same file system.
    pub new_parent: &'a Arc<dyn Inode>,
    /// Its name there.
    pub new_name: &'a [u8],
    /// What has the new name now: it is replaced or, with `exchange`, gets the old one.
    pub target: Option<&'a Arc<dyn Inode>>,
    /// RENAME_EXCHANGE.
    pub exchange: bool,
}

/// One entry that `readdir` gives.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// Name.
    pub name: &'a [u8],
    /// Inode number.
    pub ino: u64,
    /// Type.
    pub file_type: FileType,
    /// Where the entry after this one is; what lseek and d_off carry.
    pub next: u64,
}

/// What permission checks look at.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Type.
    pub file_type: FileType,
    /// 12 permission bits.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl FileType {
    /// From `st_mode`; `None` for bits that mean nothing.
    pub fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o010_000 => Self::Fifo,
            0o020_000 => Self::CharDevice,
            0o040_000 => Self::Directory,
            0o060_000 => Self::BlockDevice,
            0o100_000 => Self::Regular,
            0o120_000 => Self::Symlink,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }

    /// The `d_type` of getdents64(2).
    pub fn dirent_type(self) -> u8 {
        (self as u32 >> 12) as u8
    }
}

impl Metadata {
    /// `st_mode`.
    pub fn mode(&self) -> u32 {
        self.file_type as u32 | self.permissions
    }
}

impl Timestamp {
    /// Wall-clock time now.
    pub fn now() -> Self {
        Self::from_ns(crate::time::realtime_now())
    }

    /// From nanoseconds since the epoch.
    pub fn from_ns(ns: u64) -> Self {
        Self { seconds: (ns / 1_000_000_000) as i64, nanos: (ns % 1_000_000_000) as u32 }
    }
}

/// An object of a file system. Names are byte strings without '/' and NUL; permission checks are the VFS's, not the file system's.
/// Defaults answer with the errno that fits an object without the operation.
pub trait Inode: Any + Send + Sync + core::fmt::Debug {
    /// Everything that stat(2) says.
    fn metadata(&self) -> Metadata;

    /// The part of [`Self::metadata`] that permission checks need. The type never changes.
    fn access(&self) -> Access {
        let Metadata { file_type, permissions, uid, gid, .. } = self.metadata();
        Access { file_type, permissions, uid, gid }
    }

    /// Size in bytes, of regular files.
    fn size(&self) -> u64 {
        self.metadata().size
    }

    /// Whether names found in this directory must be confirmed by [`Self::revalidate`] each time (procfs: processes end), and absences not be
    /// remembered.
    fn must_revalidate(&self) -> bool {
        false
    }

    /// Whether `name` is still `child`.
    fn revalidate(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let _ = (name, child);
        true
    }

    /// The contents were read: sets the access time, as the mount's options say (the VFS asks for it only when they want it).
    fn touch_accessed(&self) {}

    /// Changes attributes; sets the change time.
    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let _ = change;
        Err(Errno::EPERM.into())
    }

    /// Finds `name` in this directory.
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let _ = name;
        Err(Errno::ENOTDIR.into())
    }

    /// Makes `name`. The owner and permissions are final: umask and set-group-ID directories are the VFS's affair.
    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        let _ = (name, what, permissions, owner);
        Err(Errno::EPERM.into())
    }

    /// An unnamed regular file (O_TMPFILE).
    fn create_unnamed(&self, permissions: u32, owner: (u32, u32)) -> Result<Arc<dyn Inode>> {
        let _ = (permissions, owner);
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Makes `name` another name of `target`, an inode of the same file system.
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let _ = (name, target);
        Err(Errno::EPERM.into())
    }

    /// Takes away `name`, a name of `victim`, which is not a directory.
    fn unlink(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let _ = (name, victim);
        Err(Errno::EPERM.into())
    }

    /// Takes away `name`, the directory `victim`, if it is empty.
    fn rmdir(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let _ = (name, victim);
        Err(Errno::EPERM.into())
    }

    /// Moves a name of this directory, as `renaming` says. Loops were excluded by the VFS.
    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        let _ = renaming;
        Err(Errno::EPERM.into())
    }

    /// Calls `emit` for each entry from position `from` on ("." and ".." included) until it says `false`.
    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let _ = (from, emit);
        Err(Errno::ENOTDIR.into())
    }

    /// The target of a symbolic link.
    fn read_link(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL.into())
    }

    /// For links of procfs that lead to a place rather than to a name.
    fn follow_magic(&self) -> Option<Result<super::place::Path>> {
        None
    }

    /// The next data (or, with `hole`, the next hole) at or after `from`, for lseek(2). By default the file is all data.
    fn seek_data(&self, from: u64, hole: bool) -> Result<u64> {
        let size = self.size();
        if from >= size {
            return Err(Errno::ENXIO.into());
        }
        Ok(if hole { size } else { from })
    }

    /// Reads file contents.
    fn read_at(&self, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let _ = (offset, writer);
        Err(Errno::EINVAL.into())
    }

    /// Writes file contents, growing the file.
    fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let _ = (offset, reader);
        Err(Errno::EINVAL.into())
    }

    /// Writes at the end (O_APPEND); returns how much, and the position after it. File systems whose files several tasks may extend at once make it
    /// atomic.
    fn append(&self, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        let end = self.size();
        let written = self.write_at(end, reader)?;
        Ok((written, end + written as u64))
    }

    /// The pages, of regular files that can be mapped.
    fn page_cache(&self) -> Option<&PageCache> {
        None
    }

    /// For devices, FIFOs and files with a behaviour of their own: what serves this opening. `None`: the VFS's file over this inode.
    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        let _ = flags;
        Ok(None)
    }

    /// fallocate(2).
    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let _ = (mode, offset, len);
        Err(Errno::EOPNOTSUPP.into())
    }

    /// fsync(2).
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// An extended attribute's value.
    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        let _ = name;
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Sets an extended attribute; `flags` as setxattr(2).
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        let _ = (name, value, flags);
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Removes an extended attribute.
    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        let _ = name;
        Err(Errno::EOPNOTSUPP.into())
    }

    /// The names of the extended attributes.
    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }
}
