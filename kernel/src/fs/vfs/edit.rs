//! Changes of directories, by dentries: the cache and the file system move together, under the directories' locks.
//!
//! Permissions are the callers' affair: they pass a check that runs under the lock, with what is there now. [`super::open`] and the `syscall/fs`
//! services check as Linux does; overlayfs, which acts on its layers with its own authority, passes [`unchecked`].

use super::dentry::Dentry;
use super::file_system::SuperBlock;
use super::inode::{FileType, NewInode, Renaming};
use super::mount_points;
use super::notify::{self, Happening};
use crate::error::{Errno, Error, Result};
use alloc::sync::Arc;

/// RENAME_NOREPLACE of renameat2(2).
pub const RENAME_NOREPLACE: u32 = 1;
/// RENAME_EXCHANGE of renameat2(2).
pub const RENAME_EXCHANGE: u32 = 2;

/// A check that lets everything pass.
pub fn unchecked(_: &Arc<Dentry>) -> Result<()> {
    Ok(())
}

/// Makes `name` in `directory`. The check gets the directory.
///
/// # Errors
/// EEXIST if it is there, ENOENT if the directory was removed, the check's, the file system's.
pub fn create(
    directory: &Arc<Dentry>,
    name: &[u8],
    what: NewInode<'_>,
    permissions: u32,
    owner: (u32, u32),
    check: impl FnOnce(&Arc<Dentry>) -> Result<()>,
) -> Result<Arc<Dentry>> {
    let _changes = directory.lock_directory()?;
    if directory.child_locked(name)?.is_positive() {
        return Err(Errno::EEXIST.into());
    }
    check(directory)?;
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let inode = directory.inode()?.create(name, what, permissions, owner)?;
    let child = directory.put_child(name, Some(inode));
    notify::report_child(directory, name, child.is_directory(), Happening::CREATE, 0);
    Ok(child)
}

/// Makes `name` in `directory` another name of `target`. The check gets the directory.
///
/// # Errors
/// As [`create`].
pub fn link(
    directory: &Arc<Dentry>,
    name: &[u8],
    target: &Arc<Dentry>,
    check: impl FnOnce(&Arc<Dentry>) -> Result<()>,
) -> Result<Arc<Dentry>> {
    let _changes = directory.lock_directory()?;
    if directory.child_locked(name)?.is_positive() {
        return Err(Errno::EEXIST.into());
    }
    check(directory)?;
    let inode = target.inode()?;
    directory.inode()?.link(name, inode)?;
    let child = directory.put_child(name, Some(inode.clone()));
    notify::report_self(&child, Happening::ATTRIB);
    notify::report_child(directory, name, false, Happening::CREATE, 0);
    Ok(child)
}

/// Takes `name` away from `directory`: an empty directory if `wants_directory`, else anything but a directory. The check gets what goes.
///
/// # Errors
/// ENOENT, EISDIR, ENOTDIR, the check's, the file system's.
pub fn remove(
    directory: &Arc<Dentry>,
    name: &[u8],
    wants_directory: bool,
    check: impl FnOnce(&Arc<Dentry>) -> Result<()>,
) -> Result<()> {
    let changes = directory.lock_directory()?;
    let victim = directory.child_locked(name)?;
    let victim_type = victim.file_type().ok_or(Errno::ENOENT)?;
    check(&victim)?;
    let is_directory = victim_type == FileType::Directory;
    if wants_directory && !is_directory {
        return Err(Errno::ENOTDIR.into());
    }
    if !wants_directory && is_directory {
        return Err(Errno::EISDIR.into());
    }
    if is_directory {
        // Nothing may be made in it while it goes.
        let _inner = victim.lock_directory()?;
        directory.inode()?.rmdir(name, victim.inode()?)?;
        directory.remove_child(&victim);
    } else {
        directory.inode()?.unlink(name, victim.inode()?)?;
        directory.remove_child(&victim);
    }
    drop(changes);
    mount_points::detach(&victim);
    notify::report_child(directory, name, is_directory, Happening::DELETE, 0);
    notify::report_gone(&victim);
    Ok(())
}

/// Renames `name` in `directory` to `new_name` in `new_directory`, both of `super_block`. The check gets what moves and what is at the new name (maybe an
/// absence).
///
/// # Errors
/// As rename(2).
pub fn rename(
    super_block: &SuperBlock,
    (directory, name): (&Arc<Dentry>, &[u8]),
    (new_directory, new_name): (&Arc<Dentry>, &[u8]),
    flags: u32,
    check: impl FnOnce(&Arc<Dentry>, &Arc<Dentry>) -> Result<()>,
) -> Result<()> {
    // Taken also within one directory: renames are rare, and a target directory's lock is taken below.
    let rename = super_block.rename_lock().lock();
    // Ancestors first, so that nobody who walks down waits for us in a circle; strangers in order of address.
    let is_same = Arc::ptr_eq(directory, new_directory);
    let new_is_above = !is_same && directory.is_within(new_directory);
    let old_first = !new_is_above
        && (new_directory.is_within(directory) || Arc::as_ptr(directory) <= Arc::as_ptr(new_directory));
    let (first, second) = if old_first { (directory, new_directory) } else { (new_directory, directory) };
    let first = first.lock_directory()?;
    let second = if is_same { None } else { Some(second.lock_directory()?) };

    let moving = directory.child_locked(name)?;
    if !moving.is_positive() {
        return Err(Errno::ENOENT.into());
    }
    let target = new_directory.child_locked(new_name)?;
    let exchange = flags & RENAME_EXCHANGE != 0;
    if target.is_positive() && flags & RENAME_NOREPLACE != 0 {
        return Err(Errno::EEXIST.into());
    }
    if exchange && !target.is_positive() {
        return Err(Errno::ENOENT.into());
    }
    // A directory into itself; a directory's ancestor over it.
    if new_directory.is_within(&moving) {
        return Err(Errno::EINVAL.into());
    }
    if target.is_positive() && directory.is_within(&target) {
        return Err(Error::new(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY }));
    }
    check(&moving, &target)?;
    if Arc::ptr_eq(&moving, &target) {
        return Ok(());
    }
    if let (Ok(a), Ok(b)) = (moving.inode(), target.inode())
        && Arc::ptr_eq(a, b)
        && !exchange
    {
        // Two names of one file: rename(2) does nothing.
        return Ok(());
    }
    if target.is_positive() && !exchange {
        match (moving.is_directory(), target.is_directory()) {
            (true, false) => return Err(Errno::ENOTDIR.into()),
            (false, true) => return Err(Errno::EISDIR.into()),
            _ => {}
        }
    }

    let renaming = Renaming {
        name,
        moving: moving.inode()?,
        new_parent: new_directory.inode()?,
        new_name,
        target: target.inode().ok(),
        exchange,
    };
    if exchange {
        directory.inode()?.rename(&renaming)?;
        directory.exchange_children(&moving, new_directory, &target);
        report_move((directory, name), (new_directory, new_name), &moving);
        report_move((new_directory, new_name), (directory, name), &target);
        return Ok(());
    }
    let inner = if target.is_directory() { Some(target.lock_directory()?) } else { None };
    directory.inode()?.rename(&renaming)?;
    if target.is_positive() {
        new_directory.remove_child(&target);
    }
    directory.move_child(&moving, new_directory, new_name);
    report_move((directory, name), (new_directory, new_name), &moving);
    if target.is_positive() {
        drop((inner, second, first, rename));
        mount_points::detach(&target);
        notify::report_gone(&target);
    }
    Ok(())
}

fn report_move(
    (directory, name): (&Arc<Dentry>, &[u8]),
    (new_directory, new_name): (&Arc<Dentry>, &[u8]),
    moved: &Arc<Dentry>,
) {
    let cookie = notify::new_cookie();
    notify::report_child(directory, name, moved.is_directory(), Happening::MOVED_FROM, cookie);
    notify::report_child(new_directory, new_name, moved.is_directory(), Happening::MOVED_TO, cookie);
    notify::report_self(moved, Happening::MOVE_SELF);
}
