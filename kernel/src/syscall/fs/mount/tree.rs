//! open_tree(2), move_mount(2): <https://man7.org/linux/man-pages/man2/open_tree.2.html>.

use super::own_namespace;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::{O_CLOEXEC, O_PATH};
use crate::fs::vfs::{detached, inode_file, mount_tree};
use crate::syscall::fs::{AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::syscall::{Fd, UserCStr};

const OPEN_TREE_CLONE: u32 = 1;

const MOVE_MOUNT_F_SYMLINKS: u32 = 0x01;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
const MOVE_MOUNT_T_SYMLINKS: u32 = 0x10;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
/// With MOVE_MOUNT_F_AUTOMOUNTS and MOVE_MOUNT_T_AUTOMOUNTS: there are no automatic mounts.
const MOVE_MOUNT_PLACES: u32 = 0x77;

/// open_tree(2): a descriptor of a place, or of a copy of the mounts there that sits nowhere.
pub fn sys_open_tree(dirfd: Fd, path: UserCStr, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    const LOOKUP: u32 = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
    let is_copy = flags & OPEN_TREE_CLONE != 0;
    let is_recursive = flags & AT_RECURSIVE != 0;
    if flags & !(LOOKUP | AT_RECURSIVE | OPEN_TREE_CLONE | O_CLOEXEC) != 0 || (is_recursive && !is_copy) {
        return Err(Errno::EINVAL.into());
    }
    let namespace = if is_copy { Some(own_namespace(context)?) } else { None };
    let (_, place) = lookup_at(dirfd, path, flags & LOOKUP, AT_NO_AUTOMOUNT, context)?;
    let file = match namespace {
        Some(namespace) => detached::open(mount_tree::copy(&namespace, &place, is_recursive)?),
        None => OpenFile::new(place, inode_file::path_file(), O_PATH),
    };
    context.install(file, flags & O_CLOEXEC != 0)
}

/// move_mount(2).
pub fn sys_move_mount(
    from: Fd,
    from_path: UserCStr,
    to: Fd,
    to_path: UserCStr,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let namespace = own_namespace(context)?;
    // COMPAT: no MOVE_MOUNT_SET_GROUP (checkpointing tools) and no MOVE_MOUNT_BENEATH.
    if flags & !MOVE_MOUNT_PLACES != 0 {
        return Err(Errno::EINVAL.into());
    }
    let lookup_flags = |follow, empty| {
        let nofollow = if flags & follow == 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
        nofollow | if flags & empty != 0 { AT_EMPTY_PATH } else { 0 }
    };
    let how = lookup_flags(MOVE_MOUNT_F_SYMLINKS, MOVE_MOUNT_F_EMPTY_PATH);
    let (_, source) = lookup_at(from, from_path, how, 0, context)?;
    let how = lookup_flags(MOVE_MOUNT_T_SYMLINKS, MOVE_MOUNT_T_EMPTY_PATH);
    let (_, target) = lookup_at(to, to_path, how, 0, context)?;
    mount_tree::move_mount(&namespace, &source, target)
}
