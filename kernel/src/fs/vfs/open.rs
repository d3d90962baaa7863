//! open(2): from a path or a place to an [`OpenFile`].

use super::dentry::Dentry;
use super::edit;
use super::inode::{Access, Attributes, FileType, Inode, NewInode};
use super::inode_file;
use super::lookup::{self, Last, LastKind, LookupFlags, LookupStart, Walk};
use super::mount::MountFlags;
use super::notify::{self, Happening};
use super::permission;
use super::place::Path;
use super::text_lock::Writing;
use crate::cgroup::devices;
use crate::device::registry;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::{
    O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_PATH, O_RDONLY,
    O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::process::credentials::{Capability, Credentials};
use alloc::sync::Arc;
use ostd::sync::Once;

/// How to open.
#[derive(Clone, Copy, Debug)]
pub struct OpenHow {
    /// `O_*`.
    pub flags: u32,
    /// Permissions of a file that is made, the umask already taken off.
    pub permissions: u32,
    /// RESOLVE_* restrictions of openat2(2).
    pub resolve: LookupFlags,
}

/// Opens FIFOs; the pipe module registers it.
pub type FifoOpener = fn(&Path, &Arc<dyn Inode>, u32) -> Result<Arc<dyn FileOps>>;

static FIFO_OPENER: Once<FifoOpener> = Once::new();

/// Registers who opens FIFOs. Only the first call counts.
pub fn set_fifo_opener(opener: FifoOpener) {
    FIFO_OPENER.call_once(|| opener);
}

/// Opens (and makes, with O_CREAT) what `path` names.
///
/// # Errors
/// As open(2).
pub fn open(start: &LookupStart, path: &[u8], how: OpenHow) -> Result<Arc<OpenFile>> {
    let mut how = how;
    if how.flags & O_PATH != 0 {
        how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    }
    let mut resolve = how.resolve;
    if how.flags & O_NOFOLLOW == 0 && how.flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL {
        resolve |= LookupFlags::FOLLOW;
    }
    if how.flags & O_TMPFILE == O_TMPFILE {
        return open_unnamed(start, path, how, resolve);
    }
    if how.flags & O_CREAT != 0 {
        if how.flags & O_DIRECTORY != 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut walk = Walk::new(start, resolve);
        if path.is_empty() {
            return Err(Errno::ENOENT.into());
        }
        let last = walk.walk_to_parent(path)?;
        let is_new = find_or_create(start, &mut walk, last, how)?;
        return open_found(walk.at, how.flags, &start.credentials, is_new);
    }
    if how.flags & O_DIRECTORY != 0 {
        resolve |= LookupFlags::DIRECTORY;
    }
    let found = lookup::lookup(start, path, resolve)?;
    open_found(found, how.flags, &start.credentials, false)
}

impl Path {
    /// Opens it with the kernel's authority: no permission is checked.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(&self, flags: u32) -> Result<Arc<OpenFile>> {
        let inode = self.inode()?;
        let access = inode.access();
        let writing = begin_writing(inode, &access, flags)?;
        make_file(self.clone(), &access, flags, writing)
    }
}

fn find_or_create(start: &LookupStart, walk: &mut Walk<'_>, last: Last<'_>, how: OpenHow) -> Result<bool> {
    let LastKind::Name(name) = last.kind else {
        return Err(if how.flags & O_EXCL != 0 { Errno::EEXIST } else { Errno::EISDIR }.into());
    };
    if last.wants_directory {
        return Err(Errno::EISDIR.into());
    }
    loop {
        let child = walk.child(name)?;
        match child.file_type() {
            None => {
                let made = create_regular(start, &walk.at, name, how);
                match made {
                    Err(error) if error.errno() == Errno::EEXIST && how.flags & O_EXCL == 0 => continue,
                    made => walk.at.dentry = made?,
                }
                return Ok(true);
            }
            Some(_) if how.flags & O_EXCL != 0 => return Err(Errno::EEXIST.into()),
            Some(FileType::Symlink) => {
                if how.flags & O_NOFOLLOW != 0 {
                    return Err(Errno::ELOOP.into());
                }
                return follow_and_create(start, walk, &child, how);
            }
            Some(_) => {
                walk.enter(child)?;
                if walk.at.is_directory() {
                    return Err(Errno::EISDIR.into());
                }
                return Ok(false);
            }
        }
    }
}

fn follow_and_create(
    start: &LookupStart,
    walk: &mut Walk<'_>,
    link: &Arc<Dentry>,
    how: OpenHow,
) -> Result<bool> {
    let inode = link.inode()?;
    if inode.follow_magic().is_some() {
        walk.follow(link)?;
        return if walk.at.is_directory() { Err(Errno::EISDIR.into()) } else { Ok(false) };
    }
    walk.count_link()?;
    let target = inode.read_link()?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let last = walk.walk_to_parent(&target)?;
    find_or_create(start, walk, last, how)
}

fn create_regular(start: &LookupStart, parent: &Path, name: &[u8], how: OpenHow) -> Result<Arc<Dentry>> {
    let credentials = &*start.credentials;
    parent.mount.check_writable()?;
    let (permissions, owner) = new_attributes(&parent.inode()?.access(), credentials, how.permissions, false);
    edit::create(&parent.dentry, name, NewInode::Regular, permissions, owner, |directory| {
        permission::check(&**directory.inode()?, credentials, permission::WRITE | permission::EXECUTE)
    })
}

/// Permissions and owner of something new in a directory: a set-group-ID directory gives its group on, and to directories also its bit.
pub fn new_attributes(
    directory: &Access,
    credentials: &Credentials,
    permissions: u32,
    is_directory: bool,
) -> (u32, (u32, u32)) {
    let mut permissions = permissions;
    let mut gid = credentials.fsgid();
    if directory.permissions & 0o2000 != 0 {
        gid = directory.gid;
        if is_directory {
            permissions |= 0o2000;
        } else if permissions & 0o2010 == 0o2010
            && !credentials.in_group(gid)
            && !credentials.has_over((directory.uid, gid), Capability::Fsetid)
        {
            permissions &= !0o2000;
        }
    }
    (permissions, (credentials.fsuid(), gid))
}

fn open_unnamed(
    start: &LookupStart,
    path: &[u8],
    how: OpenHow,
    resolve: LookupFlags,
) -> Result<Arc<OpenFile>> {
    if !matches!(how.flags & O_ACCMODE, O_WRONLY | O_RDWR) {
        return Err(Errno::EINVAL.into());
    }
    let parent = lookup::lookup(start, path, resolve | LookupFlags::DIRECTORY)?;
    parent.mount.check_writable()?;
    let inode = parent.inode()?;
    permission::check(&**inode, &start.credentials, permission::WRITE | permission::EXECUTE)?;
    let (permissions, owner) = new_attributes(&inode.access(), &start.credentials, how.permissions, false);
    let new = inode.create_unnamed(permissions, owner)?;
    let name = alloc::format!("#{}", new.metadata().ino);
    let dentry = Dentry::new_unnamed(new, &parent.dentry, name.as_bytes(), how.flags & O_EXCL == 0);
    open_found(Path { mount: parent.mount, dentry }, how.flags & !O_DIRECTORY, &start.credentials, true)
}

fn open_found(path: Path, flags: u32, credentials: &Credentials, is_new: bool) -> Result<Arc<OpenFile>> {
    let inode = path.inode()?;
    let access = inode.access();
    if flags & O_PATH != 0 {
        return Ok(OpenFile::new(path, inode_file::path_file(), flags & !O_CLOEXEC));
    }
    let mode = flags & O_ACCMODE;
    let writes = mode != O_RDONLY || flags & O_TRUNC != 0;
    match access.file_type {
        FileType::Symlink => return Err(Errno::ELOOP.into()),
        FileType::Directory if writes || flags & O_CREAT != 0 => return Err(Errno::EISDIR.into()),
        FileType::CharDevice | FileType::BlockDevice
            if path.mount.flags().contains(MountFlags::NO_DEV) || !path.mount.super_block().has_devices() =>
        {
            return Err(Errno::EACCES.into());
        }
        FileType::CharDevice | FileType::BlockDevice => {
            let reads = if mode == O_WRONLY { 0 } else { devices::READ };
            let wanted = if writes { reads | devices::WRITE } else { reads };
            devices::check(access.file_type, inode.metadata().rdev, wanted)?;
        }
        FileType::Socket => return Err(Errno::ENXIO.into()),
        _ => {}
    }
    if !is_new {
        let mut wanted = if mode == O_WRONLY { 0 } else { permission::READ };
        if writes {
            wanted |= permission::WRITE;
        }
        permission::check_access(&access, credentials, wanted)?;
    }
    if writes && matches!(access.file_type, FileType::Regular | FileType::Directory) {
        path.mount.check_writable()?;
    }
    if flags & O_NOATIME != 0 && !permission::is_owner(&access, credentials) {
        return Err(Errno::EPERM.into());
    }
    let writing = begin_writing(inode, &access, flags)?;
    if flags & O_TRUNC != 0 && access.file_type == FileType::Regular && !is_new {
        inode_file::drop_privileges(inode)?;
        inode.set_attributes(&Attributes { size: Some(0), ..Attributes::default() })?;
        notify::report(&path.dentry, Happening::MODIFY);
    }
    let file = make_file(path, &access, flags, writing)?;
    notify::report(&file.path().dentry, Happening::OPEN);
    Ok(file)
}

/// ETXTBSY if a regular file is to be written to or cut short, and runs.
fn begin_writing(inode: &Arc<dyn Inode>, access: &Access, flags: u32) -> Result<Option<Writing>> {
    let writes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0;
    if writes && access.file_type == FileType::Regular { Writing::begin(inode).map(Some) } else { Ok(None) }
}

fn make_file(path: Path, access: &Access, flags: u32, writing: Option<Writing>) -> Result<Arc<OpenFile>> {
    let inode = path.inode()?;
    let kept = flags & !(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    let ops = match inode.open(flags)? {
        Some(ops) => ops,
        None => match access.file_type {
            FileType::CharDevice => registry::open_char(&path, inode.metadata().rdev, flags)?,
            FileType::BlockDevice => registry::open_block(inode.metadata().rdev, flags)?,
            FileType::Fifo => match FIFO_OPENER.get() {
                Some(open) => open(&path, inode, flags)?,
                None => return Err(Errno::ENXIO.into()),
            },
            FileType::Socket => return Err(Errno::ENXIO.into()),
            _ => inode_file::inode_file(),
        },
    };
    Ok(match writing {
        Some(writing) if flags & O_ACCMODE != O_RDONLY => OpenFile::new_writer(path, ops, kept, writing),
        _ => OpenFile::new(path, ops, kept),
    })
}
