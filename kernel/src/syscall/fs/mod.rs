//! Calls about files: decode, one call of the VFS, encode.

pub mod access;
pub mod chmod;
pub mod chown;
pub mod close;
pub mod copy;
pub mod cwd;
pub mod dup;
pub mod fadvise;
pub mod fallocate;
pub mod fcntl;
pub mod flock;
pub mod getdents;
pub mod ioctl;
pub mod link;
pub mod make;
pub mod mount;
pub mod open;
mod path_name;
pub mod read_write;
pub mod readlink;
pub mod remove;
pub mod rename;
pub mod seek;
pub mod splice;
pub mod stat;
pub mod statfs;
pub mod sync;
pub mod truncate;
pub mod utimes;
pub mod vectored;
pub mod xattr;

pub use path_name::PathName;

use super::{Fd, UserCStr};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::place::Path;
use crate::process::rlimit::Resource;

const AT_FDCWD: Fd = Fd(lookup::AT_FDCWD);
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const AT_NO_AUTOMOUNT: u32 = 0x800;
const AT_EMPTY_PATH: u32 = 0x1000;
const AT_RECURSIVE: u32 = 0x8000;

/// Looks up the path of an *at call: EINVAL for flags outside of `known` (and of AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH).
fn lookup_at(
    dirfd: Fd,
    path: UserCStr,
    flags: u32,
    known: u32,
    context: &Context<'_>,
) -> Result<(LookupStart, Path)> {
    if flags & !(known | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    let mut how = LookupFlags::empty();
    if flags & AT_SYMLINK_NOFOLLOW == 0 {
        how |= LookupFlags::FOLLOW;
    }
    if flags & AT_EMPTY_PATH != 0 {
        how |= LookupFlags::EMPTY_PATH;
    }
    let path = lookup::lookup(&start, &name, how)?;
    Ok((start, path))
}

/// RLIMIT_NOFILE.
fn descriptor_limit(context: &Context<'_>) -> u64 {
    context.process.rlimit(Resource::OpenFiles).0
}
