//! Files that live in memory only and can be sealed (memfd_create(2), "File sealing" in fcntl(2)).

use super::open_file::OpenFile;
use super::open_file::flags::{O_LARGEFILE, O_RDWR};
use super::vfs::inode::{Access, Attributes, Inode, Metadata};
use super::vfs::inode_file;
use super::{pseudo, tmpfs};
use crate::error::{Errno, Error, Result};
use crate::mm::page_cache::PageCache;
use crate::process::credentials::Credentials;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::any::Any;
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::RwLock;

const F_ADD_SEALS: u32 = 1033;
const F_GET_SEALS: u32 = 1034;

bitflags! {
    /// What may not be done any more (F_SEAL_*).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Seals: u32 {
        /// Adding seals.
        const SEAL = 0x1;
        /// Shrinking.
        const SHRINK = 0x2;
        /// Growing.
        const GROW = 0x4;
        /// Writing.
        const WRITE = 0x8;
        /// Writing, but through mappings that there are.
        const FUTURE_WRITE = 0x10;
        /// Changing execute permissions.
        const EXEC = 0x20;
    }
}

/// A tmpfs file with seals.
#[derive(Debug)]
struct MemFile {
    file: Arc<dyn Inode>,
    /// Held for reading while contents or size change.
    seals: RwLock<Seals>,
}

/// A new, empty file.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create(
    name: &[u8],
    permissions: u32,
    seals: Seals,
    credentials: &Credentials,
) -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let file = tmpfs::new_unnamed_file(permissions, (credentials.fsuid(), credentials.fsgid()));
    let inode = Arc::new(MemFile { file, seals: RwLock::new(seals) });
    let name = alloc::format!("/memfd:{} (deleted)", String::from_utf8_lossy(name));
    Ok(OpenFile::new(pseudo::path_of(inode, &name), inode_file::inode_file(), O_RDWR | O_LARGEFILE))
}

/// F_ADD_SEALS and F_GET_SEALS.
///
/// # Errors
/// EINVAL for files of other kinds and other commands, EPERM if it is sealed or cannot be written, EBUSY if it is mapped.
pub fn fcntl(file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
    let mem_file = of(file.inode()?).ok_or(Error::new(Errno::EINVAL))?;
    match command {
        F_GET_SEALS => Ok(mem_file.seals.read().bits() as isize),
        F_ADD_SEALS => {
            if !file.is_writable() {
                return Err(Errno::EPERM.into());
            }
            let new =
                u32::try_from(argument).ok().and_then(Seals::from_bits).ok_or(Error::new(Errno::EINVAL))?;
            mem_file.add_seals(new).map(|()| 0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Whether no mapping may write to the file.
pub fn refuses_writes(inode: &Arc<dyn Inode>) -> bool {
    of(inode).is_some_and(|file| file.seals.read().intersects(Seals::WRITE | Seals::FUTURE_WRITE))
}

fn of(inode: &Arc<dyn Inode>) -> Option<&MemFile> {
    (&**inode as &dyn Any).downcast_ref()
}

impl MemFile {
    fn add_seals(&self, new: Seals) -> Result<()> {
        let mut seals = self.seals.write();
        if seals.contains(Seals::SEAL) {
            return Err(Errno::EPERM.into());
        }
        let is_mapped = || self.file.page_cache().is_some_and(PageCache::is_mapped);
        // COMPAT: Linux minds only mappings that can write; here any mapping is in the way.
        if new.contains(Seals::WRITE) && !seals.contains(Seals::WRITE) && is_mapped() {
            return Err(Errno::EBUSY.into());
        }
        *seals |= new;
        // A file that nobody may make executable any more and that is so already cannot be written either (memfd_create(2)).
        if new.contains(Seals::EXEC) && self.file.access().permissions & 0o111 != 0 {
            *seals |= Seals::SHRINK | Seals::GROW | Seals::WRITE | Seals::FUTURE_WRITE;
        }
        Ok(())
    }

    /// Cuts a write short at the end of a file that must not grow.
    fn check_write(seals: Seals, size: u64, offset: u64, reader: &mut VmReader<'_>) -> Result<()> {
        if reader.remaining() == 0 {
            return Ok(());
        }
        if seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE) {
            return Err(Errno::EPERM.into());
        }
        let end = offset.saturating_add(reader.remaining() as u64);
        if end > size && seals.contains(Seals::GROW) {
            let left = size.saturating_sub(offset);
            if left == 0 {
                return Err(Errno::EPERM.into());
            }
            reader.limit(left as usize);
        }
        Ok(())
    }
}

impl Inode for MemFile {
    fn metadata(&self) -> Metadata {
        self.file.metadata()
    }

    fn access(&self) -> Access {
        self.file.access()
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn touch_accessed(&self) {
        self.file.touch_accessed();
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let seals = self.seals.read();
        if let Some(size) = change.size {
            let is_refused = match size.cmp(&self.size()) {
                core::cmp::Ordering::Less => seals.contains(Seals::SHRINK),
                core::cmp::Ordering::Equal => false,
                core::cmp::Ordering::Greater => seals.contains(Seals::GROW),
            };
            if is_refused {
                return Err(Errno::EPERM.into());
            }
        }
        if let Some(permissions) = change.permissions
            && seals.contains(Seals::EXEC)
            && (permissions ^ self.file.access().permissions) & 0o111 != 0
        {
            return Err(Errno::EPERM.into());
        }
        self.file.set_attributes(change)
    }

    fn seek_data(&self, from: u64, hole: bool) -> Result<u64> {
        self.file.seek_data(from, hole)
    }

    fn read_at(&self, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.file.read_at(offset, writer)
    }

    fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let seals = self.seals.read();
        Self::check_write(*seals, self.size(), offset, reader)?;
        self.file.write_at(offset, reader)
    }

    fn append(&self, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        let seals = self.seals.read();
        let size = self.size();
        Self::check_write(*seals, size, size, reader)?;
        self.file.append(reader)
    }

    fn page_cache(&self) -> Option<&PageCache> {
        self.file.page_cache()
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        const FALLOC_FL_KEEP_SIZE: u32 = 1;
        let seals = self.seals.read();
        let changes_bytes = mode & !FALLOC_FL_KEEP_SIZE != 0;
        let grows = mode & FALLOC_FL_KEEP_SIZE == 0 && offset.saturating_add(len) > self.size();
        if changes_bytes && seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE)
            || grows && seals.contains(Seals::GROW)
        {
            return Err(Errno::EPERM.into());
        }
        self.file.allocate(mode, offset, len)
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.file.get_xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        self.file.set_xattr(name, value, flags)
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.file.remove_xattr(name)
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>> {
        self.file.list_xattrs()
    }
}
