//! Names made, given, moved and taken away: mkdir, mknod, symlink, link, unlink, rmdir, rename, with the checks of their man pages.

use super::dentry::Dentry;
use super::edit::{self, RENAME_EXCHANGE, RENAME_NOREPLACE};
use super::inode::{FileType, NewInode};
use super::lookup::{self, Last, LastKind, LookupFlags, LookupStart, NAME_MAX};
use super::mount_points;
use super::open::new_attributes;
use super::permission::{self, EXECUTE, WRITE};
use super::place::Path;
use crate::cgroup::devices;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use alloc::sync::Arc;

/// Makes `path`: a directory, link or node. `permissions` have the umask taken off.
///
/// # Errors
/// As mkdir(2), mknod(2), symlink(2).
pub fn make(start: &LookupStart, path: &[u8], what: NewInode<'_>, permissions: u32) -> Result<Path> {
    let credentials = &*start.credentials;
    let device = match &what {
        // Anyone may make a whiteout (character device 0:0): it opens nothing.
        NewInode::Node(FileType::CharDevice, 0) => None,
        NewInode::Node(file_type @ (FileType::CharDevice | FileType::BlockDevice), device) => {
            Some((*file_type, *device))
        }
        _ => None,
    };
    let is_directory = matches!(what, NewInode::Directory);
    let (parent, name) = place_for_new(start, path, is_directory)?;
    let (permissions, owner) =
        new_attributes(&parent.inode()?.access(), credentials, permissions, is_directory);
    let dentry = edit::create(&parent.dentry, name, what, permissions, owner, |directory| {
        may_add(directory, credentials)?;
        let Some((file_type, number)) = device else { return Ok(()) };
        if !credentials.has(Capability::Mknod) {
            return Err(Errno::EPERM.into());
        }
        devices::check(file_type, number, devices::MAKE)
    })?;
    Ok(Path { mount: parent.mount, dentry })
}

/// Makes `path` another name of `target`.
///
/// # Errors
/// As link(2).
pub fn link(target: &Path, start: &LookupStart, path: &[u8]) -> Result<()> {
    let credentials = &*start.credentials;
    let (parent, last) = lookup::lookup_parent(start, path, LookupFlags::empty())?;
    let name = new_name(&parent, last, false, credentials)?;
    if !Arc::ptr_eq(&parent.mount, &target.mount) {
        return Err(Errno::EXDEV.into());
    }
    parent.mount.check_writable()?;
    if !target.dentry.is_linkable() {
        return Err(Errno::ENOENT.into());
    }
    edit::link(&parent.dentry, name, &target.dentry, |directory| {
        may_add(directory, credentials)?;
        // Also for the superuser: a second way into a directory would make circles.
        if target.is_directory() { Err(Errno::EPERM.into()) } else { Ok(()) }
    })?;
    Ok(())
}

/// Takes the name `path` away; it must not be a directory's.
///
/// # Errors
/// As unlink(2).
pub fn unlink(start: &LookupStart, path: &[u8]) -> Result<()> {
    let (parent, last) = lookup::lookup_parent(start, path, LookupFlags::empty())?;
    let LastKind::Name(name) = last.kind else { return Err(Errno::EISDIR.into()) };
    remove(&parent, name, false, last.wants_directory, &start.credentials)
}

/// Takes the empty directory `path` away.
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(start: &LookupStart, path: &[u8]) -> Result<()> {
    let (parent, last) = lookup::lookup_parent(start, path, LookupFlags::empty())?;
    let name = match last.kind {
        LastKind::Name(name) => name,
        LastKind::Dot => return Err(Errno::EINVAL.into()),
        LastKind::DotDot => return Err(Errno::ENOTEMPTY.into()),
        LastKind::Root => return Err(Errno::EBUSY.into()),
    };
    remove(&parent, name, true, last.wants_directory, &start.credentials)
}

/// Moves `old` to `new`; `flags` as renameat2(2).
///
/// # Errors
/// As renameat2(2).
pub fn rename(
    (old_start, old): (&LookupStart, &[u8]),
    (new_start, new): (&LookupStart, &[u8]),
    flags: u32,
) -> Result<()> {
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE) != 0 || flags == RENAME_NOREPLACE | RENAME_EXCHANGE {
        return Err(Errno::EINVAL.into());
    }
    let credentials = &*old_start.credentials;
    let (old_parent, old_last) = lookup::lookup_parent(old_start, old, LookupFlags::empty())?;
    let (new_parent, new_last) = lookup::lookup_parent(new_start, new, LookupFlags::empty())?;
    if !Arc::ptr_eq(&old_parent.mount, &new_parent.mount) {
        return Err(Errno::EXDEV.into());
    }
    let LastKind::Name(old_name) = old_last.kind else { return Err(Errno::EBUSY.into()) };
    let LastKind::Name(new_name) = new_last.kind else {
        let refused = if flags & RENAME_NOREPLACE != 0 { Errno::EEXIST } else { Errno::EBUSY };
        return Err(refused.into());
    };
    old_parent.mount.check_writable()?;
    for (parent, name) in [(&old_parent, old_name), (&new_parent, new_name)] {
        check_name(parent, name, credentials)?;
    }
    let super_block = old_parent.mount.super_block();
    let check = |moving: &Arc<Dentry>, target: &Arc<Dentry>| {
        let exchange = flags & RENAME_EXCHANGE != 0;
        if !moving.is_directory() && (old_last.wants_directory || (!exchange && new_last.wants_directory)) {
            return Err(Errno::ENOTDIR.into());
        }
        may_take(&old_parent.dentry, moving, credentials)?;
        if target.is_positive() {
            may_take(&new_parent.dentry, target, credentials)?;
        } else {
            may_add(&new_parent.dentry, credentials)?;
        }
        let changes_parent = !Arc::ptr_eq(&old_parent.dentry, &new_parent.dentry);
        // A directory that gets another parent has its ".." rewritten.
        if changes_parent && moving.is_directory() {
            permission::check(&**moving.inode()?, credentials, WRITE)?;
        }
        if changes_parent && exchange && target.is_directory() {
            permission::check(&**target.inode()?, credentials, WRITE)?;
        }
        check_not_mounted(&old_parent, moving)?;
        check_not_mounted(&new_parent, target)
    };
    edit::rename(super_block, (&old_parent.dentry, old_name), (&new_parent.dentry, new_name), flags, check)
}

fn remove(
    parent: &Path,
    name: &[u8],
    is_directory: bool,
    wants_directory: bool,
    credentials: &Credentials,
) -> Result<()> {
    parent.mount.check_writable()?;
    check_name(parent, name, credentials)?;
    edit::remove(&parent.dentry, name, is_directory, |victim| {
        if wants_directory && !victim.is_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        may_take(&parent.dentry, victim, credentials)?;
        // Of the wrong type, it is refused for that.
        if victim.is_directory() == is_directory { check_not_mounted(parent, victim) } else { Ok(()) }
    })
}

/// EBUSY for a mount point of the namespace that `parent` was found in.
fn check_not_mounted(parent: &Path, name: &Arc<Dentry>) -> Result<()> {
    let is_mounted =
        name.is_mount_point() && parent.mount.namespace().is_some_and(|own| mount_points::is_in(name, &own));
    if is_mounted { Err(Errno::EBUSY.into()) } else { Ok(()) }
}

/// The directory and the name for something that must not be there yet.
fn place_for_new<'p>(start: &LookupStart, path: &'p [u8], is_directory: bool) -> Result<(Path, &'p [u8])> {
    let (parent, last) = lookup::lookup_parent(start, path, LookupFlags::empty())?;
    let name = new_name(&parent, last, is_directory, &start.credentials)?;
    parent.mount.check_writable()?;
    Ok((parent, name))
}

/// EEXIST comes before EROFS and EACCES, as Linux has it; a trailing slash is for directories only.
fn new_name<'p>(
    parent: &Path,
    last: Last<'p>,
    is_directory: bool,
    credentials: &Credentials,
) -> Result<&'p [u8]> {
    let LastKind::Name(name) = last.kind else { return Err(Errno::EEXIST.into()) };
    check_name(parent, name, credentials)?;
    if parent.dentry.child(name)?.is_positive() {
        return Err(Errno::EEXIST.into());
    }
    if last.wants_directory && !is_directory {
        return Err(Errno::ENOENT.into());
    }
    Ok(name)
}

fn check_name(parent: &Path, name: &[u8], credentials: &Credentials) -> Result<()> {
    permission::check_search(&**parent.inode()?, credentials)?;
    if name.len() > NAME_MAX { Err(Errno::ENAMETOOLONG.into()) } else { Ok(()) }
}

fn may_add(directory: &Arc<Dentry>, credentials: &Credentials) -> Result<()> {
    permission::check(&**directory.inode()?, credentials, WRITE | EXECUTE)
}

fn may_take(directory: &Arc<Dentry>, victim: &Arc<Dentry>, credentials: &Credentials) -> Result<()> {
    let access = directory.inode()?.access();
    permission::check_access(&access, credentials, WRITE | EXECUTE)?;
    permission::check_sticky(&access, &victim.inode()?.access(), credentials)
}
