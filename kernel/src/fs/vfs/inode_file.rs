//! The open file of everything that an [`Inode`] serves by itself: regular files and directories.
//!
//! It has no state of its own (position and flags are the [`OpenFile`]'s), so all such files share one object and opening allocates once.

use super::inode::{Attributes, DirEntry, FileType, Inode};
use super::mount::MountFlags;
use super::notify::{self, Happening};
use super::size_limit;
use crate::error::{Errno, Result};
use crate::fs::memfd;
use crate::fs::open_file::{FileOps, OpenFile, flags};
use crate::mm::page_cache::PageCache;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};
use ostd::sync::Lazy;

/// A file over its path's inode.
#[derive(Debug)]
pub struct InodeFile;

/// A place only (O_PATH): every operation fails.
#[derive(Debug)]
pub struct PathFile;

static INODE_FILE: Lazy<Arc<dyn FileOps>> = Lazy::new(|| Arc::new(InodeFile));
static PATH_FILE: Lazy<Arc<dyn FileOps>> = Lazy::new(|| Arc::new(PathFile));

/// The ops of all files over inodes.
pub fn inode_file() -> Arc<dyn FileOps> {
    INODE_FILE.clone()
}

/// The ops of all O_PATH files.
pub fn path_file() -> Arc<dyn FileOps> {
    PATH_FILE.clone()
}

impl FileOps for PathFile {}

impl FileOps for InodeFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        let inode = file_inode(file)?;
        let mut position = file.position().lock();
        let len = inode.read_at(*position, writer)?;
        *position += len as u64;
        touch(file, inode);
        Ok(len)
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let inode = file_inode(file)?;
        let mut position = file.position().lock();
        drop_privileges(inode)?;
        if file.flags() & flags::O_APPEND != 0 {
            size_limit::limit_write(inode.size(), reader)?;
            let (len, end) = inode.append(reader)?;
            *position = end;
            notify::report(&file.path().dentry, Happening::MODIFY);
            return Ok(len);
        }
        size_limit::limit_write(*position, reader)?;
        let len = inode.write_at(*position, reader)?;
        *position += len as u64;
        notify::report(&file.path().dentry, Happening::MODIFY);
        Ok(len)
    }

    fn read_at(&self, file: &OpenFile, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        let inode = file_inode(file)?;
        let len = inode.read_at(offset, writer)?;
        touch(file, inode);
        Ok(len)
    }

    fn write_at(&self, file: &OpenFile, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        let inode = file_inode(file)?;
        drop_privileges(inode)?;
        let len = if file.flags() & flags::O_APPEND != 0 {
            // As pwrite(2) says under BUGS, and as Linux does: the offset does not count.
            size_limit::limit_write(inode.size(), reader)?;
            inode.append(reader)?.0
        } else {
            size_limit::limit_write(offset, reader)?;
            inode.write_at(offset, reader)?
        };
        notify::report(&file.path().dentry, Happening::MODIFY);
        Ok(len)
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> Result<u64> {
        let inode = file.inode()?;
        let mut position = file.position().lock();
        let new = seek_target(&**inode, *position, offset, whence)?;
        *position = new;
        Ok(new)
    }

    fn read_dir(&self, file: &OpenFile, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let inode = file.inode()?;
        if !file.path().is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        if file.path().dentry.is_removed() {
            return Err(Errno::ENOENT.into());
        }
        let mut position = file.position().lock();
        let from = *position;
        inode.read_dir(from, &mut |entry| {
            let next = entry.next;
            let wants_more = emit(entry);
            if wants_more {
                *position = next;
            }
            wants_more
        })?;
        touch(file, inode);
        Ok(())
    }

    fn truncate(&self, file: &OpenFile, size: u64) -> Result<()> {
        super::attributes::set_size(file.path(), size)
    }

    fn allocate(&self, file: &OpenFile, mode: u32, offset: u64, len: u64) -> Result<()> {
        let inode = file.inode()?;
        size_limit::check_size(offset.saturating_add(len))?;
        drop_privileges(inode)?;
        inode.allocate(mode, offset, len)
    }

    fn sync(&self, file: &OpenFile) -> Result<()> {
        file.inode()?.sync()
    }

    fn fcntl(&self, file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
        memfd::fcntl(file, command, argument)
    }

    fn page_cache<'a>(&'a self, file: &'a OpenFile) -> Result<&'a PageCache> {
        file.inode()?.page_cache().ok_or(Errno::ENODEV.into())
    }

    fn kept_bytes(&self, file: &OpenFile) -> usize {
        // What has a name stays when it is closed.
        match file.inode().map(|inode| (inode.page_cache(), inode.metadata().links)) {
            Ok((Some(pages), 0)) if pages.is_in_memory() => pages.resident_pages() * PAGE_SIZE,
            _ => 0,
        }
    }
}

/// EISDIR for directories.
fn file_inode(file: &OpenFile) -> Result<&Arc<dyn Inode>> {
    if file.path().is_directory() {
        return Err(Errno::EISDIR.into());
    }
    file.inode()
}

/// Sets the access time, unless file, mount or their flags say that nobody wants it.
fn touch(file: &OpenFile, inode: &Arc<dyn Inode>) {
    notify::report(&file.path().dentry, Happening::ACCESS);
    let mount = &file.path().mount;
    let unwanted = if file.path().is_directory() {
        MountFlags::NO_ATIME | MountFlags::NO_DIRATIME | MountFlags::READ_ONLY
    } else {
        MountFlags::NO_ATIME | MountFlags::READ_ONLY
    };
    if file.flags() & flags::O_NOATIME == 0
        && !mount.flags().intersects(unwanted)
        && !mount.super_block().is_read_only()
    {
        inode.touch_accessed();
    }
}

/// Writing to a file takes its set-ID bits away, unless the writer may keep them (CAP_FSETID).
pub fn drop_privileges(inode: &Arc<dyn Inode>) -> Result<()> {
    let access = inode.access();
    if access.permissions & 0o6000 == 0 || access.file_type != FileType::Regular {
        return Ok(());
    }
    let keeps =
        Thread::current().is_none_or(|thread| thread.process().credentials().has_own(Capability::Fsetid));
    // Set-group-ID without group execution marks mandatory locking, not a privilege.
    let mut gone = 0o4000;
    if access.permissions & 0o010 != 0 {
        gone |= 0o2000;
    }
    if keeps || access.permissions & gone == 0 {
        return Ok(());
    }
    inode.set_attributes(&Attributes {
        permissions: Some(access.permissions & !gone),
        ..Attributes::default()
    })
}

/// Where lseek(2) goes: EINVAL for a negative result, ENXIO for data or holes past the end.
pub fn seek_target(inode: &dyn Inode, position: u64, offset: i64, whence: u32) -> Result<u64> {
    let base = match whence {
        0 => 0,
        1 => position,
        2 if inode.access().file_type == FileType::Directory => return Err(Errno::EINVAL.into()),
        2 => inode.size(),
        3 | 4 => {
            let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            return inode.seek_data(from, whence == 4);
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let target = i64::try_from(base).ok().and_then(|base| base.checked_add(offset));
    match target {
        Some(target) if target >= 0 => Ok(target as u64),
        Some(_) => Err(Errno::EINVAL.into()),
        None => Err(Errno::EOVERFLOW.into()),
    }
}
