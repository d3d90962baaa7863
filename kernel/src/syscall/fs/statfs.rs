//! statfs(2), fstatfs(2).

use super::{AT_FDCWD, lookup_at};
use crate::context::Context;
use crate::error::Result;
use crate::fs::vfs::lookup::NAME_MAX;
use crate::fs::vfs::mount::{Mount, MountFlags};
use crate::syscall::{Fd, UserCStr, UserPtr};
use coffer_abi_types::fs::statfs;

const ST_VALID: i64 = 0x20;

/// statfs(2).
pub fn sys_statfs(path: UserCStr, out: UserPtr<statfs>, context: &mut Context<'_>) -> Result<()> {
    let (_, path) = lookup_at(AT_FDCWD, path, 0, 0, context)?;
    out.write(&encode(&path.mount))
}

/// fstatfs(2).
pub fn sys_fstatfs(fd: Fd, out: UserPtr<statfs>, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get(fd)?;
    out.write(&encode(&file.path().mount))
}

fn encode(mount: &Mount) -> statfs {
    let super_block = mount.super_block();
    let statistics = super_block.ops().statistics();
    let device = super_block.device();
    statfs {
        f_type: i64::from(super_block.magic()),
        f_bsize: i64::from(statistics.block_size),
        f_blocks: statistics.blocks,
        f_bfree: statistics.free_blocks,
        f_bavail: statistics.free_blocks,
        f_files: statistics.inodes,
        f_ffree: statistics.free_inodes,
        f_fsid: [device as i32, (device >> 32) as i32],
        f_namelen: NAME_MAX as i64,
        f_frsize: i64::from(statistics.block_size),
        f_flags: ST_VALID | flags(mount),
        f_spare: [0; 4],
    }
}

/// The `ST_*` bits.
fn flags(mount: &Mount) -> i64 {
    const NAMED: [(MountFlags, i64); 7] = [
        (MountFlags::NO_SUID, 2),
        (MountFlags::NO_DEV, 4),
        (MountFlags::NO_EXEC, 8),
        (MountFlags::NO_ATIME, 1024),
        (MountFlags::NO_DIRATIME, 2048),
        (MountFlags::RELATIME, 4096),
        (MountFlags::NO_SYMFOLLOW, 8192),
    ];
    let own = mount.flags();
    let bits: i64 = NAMED.iter().filter(|(flag, _)| own.contains(*flag)).map(|(_, bit)| bit).sum();
    bits | i64::from(mount.is_read_only())
}
