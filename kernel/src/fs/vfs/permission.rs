//! Discretionary access: mode bits, owners, and the capabilities that override them (path_resolution(7)).

use super::inode::{Access, FileType, Inode};
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};

/// May read.
pub const READ: u32 = 4;
/// May write.
pub const WRITE: u32 = 2;
/// May execute or search.
pub const EXECUTE: u32 = 1;

/// EACCES unless `credentials` may do all of `wanted` (READ, WRITE, EXECUTE) to `inode`.
pub fn check(inode: &dyn Inode, credentials: &Credentials, wanted: u32) -> Result<()> {
    check_access(&inode.access(), credentials, wanted)
}

/// As [`check`], for attributes at hand.
pub fn check_access(access: &Access, credentials: &Credentials, wanted: u32) -> Result<()> {
    let class = if credentials.fsuid() == access.uid {
        access.permissions >> 6
    } else if credentials.in_group(access.gid) {
        access.permissions >> 3
    } else {
        access.permissions
    };
    if class & wanted == wanted {
        return Ok(());
    }
    let is_directory = access.file_type == FileType::Directory;
    let owner = (access.uid, access.gid);
    if credentials.has_over(owner, Capability::DacOverride) {
        // Not even the superuser executes a file that nobody may execute.
        if is_directory || wanted & EXECUTE == 0 || access.permissions & 0o111 != 0 {
            return Ok(());
        }
    }
    if credentials.has_over(owner, Capability::DacReadSearch)
        && (wanted == READ || (is_directory && wanted & WRITE == 0))
    {
        return Ok(());
    }
    Err(Errno::EACCES.into())
}

/// EACCES unless the directory may be searched.
pub fn check_search(directory: &dyn Inode, credentials: &Credentials) -> Result<()> {
    if credentials.has(Capability::DacOverride) {
        return Ok(());
    }
    check(directory, credentials, EXECUTE)
}

/// Whether `credentials` count as the owner: EPERM-worthy operations of chmod, utimensat …
pub fn is_owner(access: &Access, credentials: &Credentials) -> bool {
    credentials.fsuid() == access.uid || may_act_as_owner(access, credentials)
}

/// CAP_FOWNER, if the owner is a user where it counts.
fn may_act_as_owner(access: &Access, credentials: &Credentials) -> bool {
    credentials.has_effective(Capability::Fowner) && credentials.user.uid(access.uid).is_some()
}

/// EPERM if the sticky bit of `directory` keeps `credentials` from removing or renaming `victim` in it.
pub fn check_sticky(directory: &Access, victim: &Access, credentials: &Credentials) -> Result<()> {
    let is_allowed = directory.permissions & 0o1000 == 0
        || credentials.fsuid() == victim.uid
        || credentials.fsuid() == directory.uid
        || credentials.has_over((victim.uid, victim.gid), Capability::Fowner);
    if is_allowed { Ok(()) } else { Err(Errno::EPERM.into()) }
}
