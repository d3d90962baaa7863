//! Changes of attributes, with the checks of chmod(2), chown(2), utimensat(2) and truncate(2).

use super::inode::{Attributes, FileType, Timestamp};
use super::inode_file::drop_privileges;
use super::notify::{self, Happening};
use super::permission::{self, WRITE};
use super::place::Path;
use super::size_limit;
use super::text_lock::Writing;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};

/// A time as utimensat(2) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// UTIME_NOW.
    Now,
    /// UTIME_OMIT.
    Keep,
    /// This time.
    At(Timestamp),
}

/// Sets the permission bits.
///
/// # Errors
/// EROFS, EPERM; EOPNOTSUPP for a symbolic link.
pub fn change_mode(path: &Path, permissions: u32, credentials: &Credentials) -> Result<()> {
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let access = inode.access();
    if access.file_type == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if !permission::is_owner(&access, credentials) {
        return Err(Errno::EPERM.into());
    }
    let mut permissions = permissions & 0o7777;
    if !credentials.in_group(access.gid)
        && !credentials.has_over((access.uid, access.gid), Capability::Fsetid)
    {
        permissions &= !0o2000;
    }
    inode.set_attributes(&Attributes { permissions: Some(permissions), ..Attributes::default() })?;
    notify::report(&path.dentry, Happening::ATTRIB);
    Ok(())
}

/// Sets owner and group; `None` stays.
///
/// # Errors
/// EROFS, EPERM.
pub fn change_owner(
    path: &Path,
    uid: Option<u32>,
    gid: Option<u32>,
    credentials: &Credentials,
) -> Result<()> {
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let access = inode.access();
    let may_all = credentials.has_over((access.uid, access.gid), Capability::Chown);
    let is_owner = credentials.fsuid() == access.uid;
    let may_uid = uid.is_none_or(|uid| may_all || (is_owner && uid == access.uid));
    let may_gid =
        gid.is_none_or(|gid| may_all || (is_owner && (credentials.in_group(gid) || gid == access.gid)));
    if !may_uid || !may_gid {
        return Err(Errno::EPERM.into());
    }
    let mut change = Attributes { uid, gid, ..Attributes::default() };
    if access.file_type != FileType::Directory && (uid.is_some() || gid.is_some()) {
        let mut gone = 0o4000;
        if access.permissions & 0o010 != 0 {
            gone |= 0o2000;
        }
        if access.permissions & gone != 0 {
            change.permissions = Some(access.permissions & !gone);
        }
    }
    inode.set_attributes(&change)?;
    notify::report(&path.dentry, Happening::ATTRIB);
    Ok(())
}

/// Sets access and modification time.
///
/// # Errors
/// EROFS, EACCES, EPERM.
pub fn change_times(
    path: &Path,
    accessed: NewTime,
    modified: NewTime,
    credentials: &Credentials,
) -> Result<()> {
    if accessed == NewTime::Keep && modified == NewTime::Keep {
        return Ok(());
    }
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let access = inode.access();
    if !permission::is_owner(&access, credentials) {
        if accessed != NewTime::Now || modified != NewTime::Now {
            return Err(Errno::EPERM.into());
        }
        permission::check_access(&access, credentials, WRITE)?;
    }
    let now = Timestamp::now();
    let time = |new| match new {
        NewTime::Now => Some(now),
        NewTime::Keep => None,
        NewTime::At(time) => Some(time),
    };
    inode.set_attributes(&Attributes {
        accessed: time(accessed),
        modified: time(modified),
        ..Attributes::default()
    })?;
    notify::report(&path.dentry, Happening::ATTRIB);
    Ok(())
}

/// Sets the size of the regular file at `path`.
///
/// # Errors
/// EISDIR, EINVAL for other types, EROFS, EACCES, EFBIG.
pub fn truncate(path: &Path, size: u64, credentials: &Credentials) -> Result<()> {
    let inode = path.inode()?;
    let access = inode.access();
    match access.file_type {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    path.mount.check_writable()?;
    permission::check_access(&access, credentials, WRITE)?;
    let _writing = Writing::begin(inode)?;
    set_size(path, size)
}

/// Sets the size with no check but that it is a regular file: the caller has it open for writing.
///
/// # Errors
/// EINVAL, EFBIG.
pub fn set_size(path: &Path, size: u64) -> Result<()> {
    let inode = path.inode()?;
    if inode.access().file_type != FileType::Regular {
        return Err(Errno::EINVAL.into());
    }
    if size > inode.size() {
        size_limit::check_size(size)?;
    }
    drop_privileges(inode)?;
    inode.set_attributes(&Attributes { size: Some(size), ..Attributes::default() })?;
    notify::report(&path.dentry, Happening::MODIFY);
    Ok(())
}
