//! [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html)

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::memfd;
use crate::fs::open_file::OpenFile;
use crate::fs::vfs::mount::MountFlags;
use crate::mm::area::RIGHTS;
use crate::mm::map::Source;
use crate::mm::{AreaFlags, Limits, MapRequest, Place};
use crate::syscall::Fd;
use alloc::sync::Arc;
use coffer_abi_types::mman::{
    MAP_32BIT, MAP_ANONYMOUS, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN,
    MAP_HUGETLB, MAP_LOCKED, MAP_NONBLOCK, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED,
    MAP_SHARED_VALIDATE, MAP_STACK, MAP_SYNC, MAP_TYPE,
};
use ostd::mm::{PAGE_SIZE, PageFlags};

/// The flags that MAP_SHARED_VALIDATE knows; others are ignored by the older types.
const KNOWN: u32 = MAP_TYPE
    | MAP_FIXED
    | MAP_ANONYMOUS
    | MAP_32BIT
    | MAP_GROWSDOWN
    | MAP_DENYWRITE
    | MAP_EXECUTABLE
    | MAP_LOCKED
    | MAP_NORESERVE
    | MAP_POPULATE
    | MAP_NONBLOCK
    | MAP_STACK
    | MAP_HUGETLB
    | MAP_FIXED_NOREPLACE;

/// Maps memory or a file.
pub fn sys_mmap(
    address: usize,
    len: usize,
    protection: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
    context: &mut Context<'_>,
) -> Result<usize> {
    if !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err(Errno::EINVAL.into());
    }
    let is_shared = match flags & MAP_TYPE {
        MAP_PRIVATE => false,
        MAP_SHARED => true,
        MAP_SHARED_VALIDATE if flags & (MAP_SYNC | !KNOWN) != 0 => return Err(Errno::EOPNOTSUPP.into()),
        MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL.into()),
    };
    if flags & MAP_HUGETLB != 0 {
        return Err(Error::with(Errno::ENOMEM, "there are no huge pages"));
    }
    let rights = super::rights(protection);
    let (source, max_rights) = if flags & MAP_ANONYMOUS != 0 {
        (Source::Anonymous, RIGHTS)
    } else {
        let file = context.process.fds().get(fd)?;
        file_source(file, rights, is_shared, offset)?
    };
    let place = match (flags & MAP_FIXED_NOREPLACE != 0, flags & MAP_FIXED != 0, flags & MAP_32BIT != 0) {
        (true, ..) => Place::FixedNoReplace(address),
        (false, true, _) => Place::Fixed(address),
        (false, false, true) => Place::Low(address),
        (false, false, false) => Place::Hint(address),
    };
    let mut area_flags = AreaFlags::empty();
    area_flags.set(AreaFlags::SHARED, is_shared);
    area_flags.set(AreaFlags::NO_RESERVE, flags & MAP_NORESERVE != 0);
    area_flags.set(AreaFlags::LOCKED, flags & MAP_LOCKED != 0);
    if flags & MAP_GROWSDOWN != 0 {
        if is_shared {
            return Err(Errno::EINVAL.into());
        }
        area_flags.set(AreaFlags::GROWS_DOWN, matches!(source, Source::Anonymous));
    }
    let populate = flags & MAP_POPULATE != 0 && flags & MAP_NONBLOCK == 0;
    let request = MapRequest { place, len, rights, max_rights, flags: area_flags, source, populate };
    super::space(context)?.map(&request, &Limits::of(context.process))
}

/// What to map of `file`, and the rights that it may ever be given.
fn file_source(
    file: Arc<OpenFile>,
    rights: PageFlags,
    is_shared: bool,
    offset: u64,
) -> Result<(Source, PageFlags)> {
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    if !file.is_readable() || is_shared && rights.contains(PageFlags::WRITE) && !file.is_writable() {
        return Err(Errno::EACCES.into());
    }
    let mut max_rights = RIGHTS;
    if file.path().mount.flags().contains(MountFlags::NO_EXEC) {
        if rights.contains(PageFlags::EXECUTE) {
            return Err(Error::with(Errno::EPERM, "the file system is mounted noexec"));
        }
        max_rights -= PageFlags::EXECUTE;
    }
    if is_shared && !file.is_writable() {
        max_rights -= PageFlags::WRITE;
    }
    if is_shared && memfd::refuses_writes(file.inode()?) {
        if rights.contains(PageFlags::WRITE) {
            return Err(Error::with(Errno::EPERM, "the file is sealed against writing"));
        }
        max_rights -= PageFlags::WRITE;
    }
    let pages = file.ops().page_cache(&file)?.clone();
    let first = (offset / PAGE_SIZE as u64) as usize;
    Ok((Source::File { file, pages, first }, max_rights))
}
