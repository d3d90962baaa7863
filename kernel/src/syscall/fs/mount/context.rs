//! fsopen(2), fspick(2), fsconfig(2), fsmount(2): <https://man7.org/linux/man-pages/man2/fsopen.2.html>.

use super::attributes::new_flags;
use super::own_namespace;
use crate::context::Context as CallContext;
use crate::error::{Errno, Result};
use crate::fs::vfs::context::FsContext;
use crate::fs::vfs::detached;
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::mount::{Mount, MountFlags};
use crate::fs::vfs::mount_tree;
use crate::syscall::fs::{AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::syscall::{Fd, UserCStr};
use alloc::vec::Vec;

/// FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC, FSPICK_CLOEXEC.
const CLOEXEC: u32 = 1;
const FSPICK_SYMLINK_NOFOLLOW: u32 = 2;
const FSPICK_NO_AUTOMOUNT: u32 = 4;
const FSPICK_EMPTY_PATH: u32 = 8;

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSCONFIG_CMD_RECONFIGURE: u32 = 7;

/// The longest key or value with its NUL.
const TEXT_MAX: usize = 256;

/// fsopen(2).
pub fn sys_fsopen(driver: UserCStr, flags: u32, context: &mut CallContext<'_>) -> Result<Fd> {
    own_namespace(context)?;
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let driver = driver.read(4096)?.ok_or(Errno::EINVAL)?;
    context.install(FsContext::open(&driver)?, flags & CLOEXEC != 0)
}

/// fspick(2).
pub fn sys_fspick(dirfd: Fd, path: UserCStr, flags: u32, context: &mut CallContext<'_>) -> Result<Fd> {
    own_namespace(context)?;
    if flags & !(CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut how = 0;
    if flags & FSPICK_SYMLINK_NOFOLLOW != 0 {
        how |= AT_SYMLINK_NOFOLLOW;
    }
    if flags & FSPICK_EMPTY_PATH != 0 {
        how |= AT_EMPTY_PATH;
    }
    let (_, place) = lookup_at(dirfd, path, how, AT_NO_AUTOMOUNT, context)?;
    if !place.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    context.install(FsContext::pick(place.mount.super_block()), flags & CLOEXEC != 0)
}

/// fsconfig(2).
pub fn sys_fsconfig(
    fd: Fd,
    command: u32,
    key: UserCStr,
    value: UserCStr,
    extra: i32,
    context: &mut CallContext<'_>,
) -> Result<()> {
    let has = (key.address() != 0, value.address() != 0);
    let is_well_formed = match command {
        FSCONFIG_SET_FLAG => has == (true, false) && extra == 0,
        FSCONFIG_SET_STRING => has == (true, true) && extra == 0,
        FSCONFIG_CMD_CREATE | FSCONFIG_CMD_RECONFIGURE => has == (false, false) && extra == 0,
        // Binary values, paths and descriptors: no file system here takes any.
        _ => return Err(Errno::EOPNOTSUPP.into()),
    };
    if !is_well_formed || fd.0 < 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get(fd)?;
    let fs_context = file.downcast::<FsContext>().ok_or(Errno::EINVAL)?;
    match command {
        FSCONFIG_SET_FLAG => fs_context.set(&text(key)?, None),
        FSCONFIG_SET_STRING => fs_context.set(&text(key)?, Some(&text(value)?)),
        FSCONFIG_CMD_CREATE => {
            own_namespace(context)?;
            fs_context.create(&LookupStart::of(context.thread))
        }
        _ => {
            own_namespace(context)?;
            fs_context.reconfigure(&LookupStart::of(context.thread))
        }
    }
}

/// fsmount(2).
pub fn sys_fsmount(fd: Fd, flags: u32, attributes: u32, context: &mut CallContext<'_>) -> Result<Fd> {
    let namespace = own_namespace(context)?;
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut mount_flags = new_flags(u64::from(attributes))?;
    let file = context.process.fds().get(fd)?;
    let (super_block, source, read_only) = file.downcast::<FsContext>().ok_or(Errno::EINVAL)?.take()?;
    if read_only {
        super_block.set_read_only(true);
        mount_flags |= MountFlags::READ_ONLY;
    }
    let mount_flags = mount_tree::checked_flags(&namespace, &super_block, mount_flags)?;
    let root = super_block.root().clone();
    let mount = Mount::new(super_block, root, &source, mount_flags);
    let file = detached::open(mount);
    context.install(file, flags & CLOEXEC != 0)
}

fn text(address: UserCStr) -> Result<Vec<u8>> {
    address.read(TEXT_MAX)?.ok_or(Errno::EINVAL.into())
}
