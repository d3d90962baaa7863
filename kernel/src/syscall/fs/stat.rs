//! stat(2), fstat(2), lstat(2), newfstatat(2), statx(2): <https://man7.org/linux/man-pages/man2/statx.2.html>.

use super::{AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::file_system::split_device;
use crate::fs::vfs::inode::{Metadata, Timestamp};
use crate::fs::vfs::place::Path;
use crate::process::credentials::Credentials;
use crate::syscall::{Fd, UserCStr, UserPtr};
use coffer_abi_types::fs::{stat, statx, statx_timestamp};
use coffer_abi_types::time::timespec;

const AT_STATX_SYNC_TYPE: u32 = 0x6000;
const STATX_BASIC_STATS: u32 = 0x7ff;
const STATX_MNT_ID: u32 = 0x1000;
const STATX_RESERVED: u32 = 0x8000_0000;
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;

/// stat(2).
pub fn sys_stat(path: UserCStr, out: UserPtr<stat>, context: &mut Context<'_>) -> Result<()> {
    sys_newfstatat(AT_FDCWD, path, out, 0, context)
}

/// lstat(2).
pub fn sys_lstat(path: UserCStr, out: UserPtr<stat>, context: &mut Context<'_>) -> Result<()> {
    sys_newfstatat(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW, context)
}

/// fstat(2).
pub fn sys_fstat(fd: Fd, out: UserPtr<stat>, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get(fd)?;
    out.write(&encode(&file.inode()?.metadata(), &context.process.credentials()))
}

/// newfstatat(2).
pub fn sys_newfstatat(
    dirfd: Fd,
    path: UserCStr,
    out: UserPtr<stat>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let (start, path) = lookup_at(dirfd, path, flags, AT_NO_AUTOMOUNT, context)?;
    out.write(&encode(&path.inode()?.metadata(), &start.credentials))
}

/// statx(2). All that is cheap is given, whatever the mask asks for; there are no birth times.
pub fn sys_statx(
    dirfd: Fd,
    path: UserCStr,
    flags: u32,
    mask: u32,
    out: UserPtr<statx>,
    context: &mut Context<'_>,
) -> Result<()> {
    if mask & STATX_RESERVED != 0 || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE {
        return Err(Errno::EINVAL.into());
    }
    // Programs pass NULL with AT_EMPTY_PATH since Linux 6.11.
    if path.address() == 0 && flags & AT_EMPTY_PATH != 0 && dirfd.0 >= 0 {
        let file = context.process.fds().get(dirfd)?;
        return out.write(&encode_extended(file.path(), &context.process.credentials())?);
    }
    let (start, path) = lookup_at(dirfd, path, flags, AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE, context)?;
    out.write(&encode_extended(&path, &start.credentials)?)
}

fn encode(metadata: &Metadata, reader: &Credentials) -> stat {
    stat {
        st_dev: metadata.dev,
        st_ino: metadata.ino,
        st_nlink: u64::from(metadata.links),
        st_mode: metadata.mode(),
        st_uid: reader.shown_uid(metadata.uid),
        st_gid: reader.shown_gid(metadata.gid),
        st_rdev: metadata.rdev,
        st_size: metadata.size as i64,
        st_blksize: i64::from(metadata.block_size),
        st_blocks: metadata.blocks as i64,
        st_atim: time(metadata.accessed),
        st_mtim: time(metadata.modified),
        st_ctim: time(metadata.changed),
        ..stat::default()
    }
}

fn encode_extended(path: &Path, reader: &Credentials) -> Result<statx> {
    let metadata = path.inode()?.metadata();
    let (stx_rdev_major, stx_rdev_minor) = split_device(metadata.rdev);
    let (stx_dev_major, stx_dev_minor) = split_device(metadata.dev);
    let is_mount_root = path.is_mount_root() && path.mount.place().is_some();
    Ok(statx {
        stx_mask: STATX_BASIC_STATS | STATX_MNT_ID,
        stx_blksize: metadata.block_size,
        stx_attributes: if is_mount_root { STATX_ATTR_MOUNT_ROOT } else { 0 },
        stx_attributes_mask: STATX_ATTR_MOUNT_ROOT,
        stx_nlink: metadata.links,
        stx_uid: reader.shown_uid(metadata.uid),
        stx_gid: reader.shown_gid(metadata.gid),
        stx_mode: metadata.mode() as u16,
        stx_ino: metadata.ino,
        stx_size: metadata.size,
        stx_blocks: metadata.blocks,
        stx_atime: extended_time(metadata.accessed),
        stx_ctime: extended_time(metadata.changed),
        stx_mtime: extended_time(metadata.modified),
        stx_rdev_major,
        stx_rdev_minor,
        stx_dev_major,
        stx_dev_minor,
        stx_mnt_id: path.mount.id(),
        ..statx::default()
    })
}

fn time(time: Timestamp) -> timespec {
    timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nanos) }
}

fn extended_time(time: Timestamp) -> statx_timestamp {
    statx_timestamp { tv_sec: time.seconds, tv_nsec: time.nanos, __reserved: 0 }
}
