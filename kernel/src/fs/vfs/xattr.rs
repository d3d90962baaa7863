//! Extended attributes (xattr(7)): who may touch which name, and a store for file systems that keep them in memory.

use super::inode::{Access, FileType, Inode};
use super::permission;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// Longest name.
pub const XATTR_NAME_MAX: usize = 255;
/// Longest value.
pub const XATTR_SIZE_MAX: usize = 65536;
/// Longest list of names.
pub const XATTR_LIST_MAX: usize = 65536;
/// Fail if it is there.
pub const XATTR_CREATE: u32 = 1;
/// Fail if it is not there.
pub const XATTR_REPLACE: u32 = 2;

/// Names and values; empty for almost all inodes, hence the box.
#[derive(Debug)]
pub struct XattrMap(SpinLock<Option<Box<Values>>>);

type Values = BTreeMap<Vec<u8>, Vec<u8>>;

impl XattrMap {
    /// Empty.
    pub const fn new() -> Self {
        Self(SpinLock::new(None))
    }

    /// A value, or ENODATA; EOPNOTSUPP for a name of no class that is kept.
    pub fn get(&self, name: &[u8]) -> Result<Vec<u8>> {
        check_class(name)?;
        let map = self.0.lock();
        map.as_ref().and_then(|map| map.get(name)).cloned().ok_or(Errno::ENODATA.into())
    }

    /// Sets a value as `flags` allow: EEXIST, ENODATA.
    pub fn set(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        check_class(name)?;
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let mut map = self.0.lock();
        let map = map.get_or_insert_default();
        let is_there = map.contains_key(name);
        if is_there && flags & XATTR_CREATE != 0 {
            return Err(Errno::EEXIST.into());
        }
        if !is_there && flags & XATTR_REPLACE != 0 {
            return Err(Errno::ENODATA.into());
        }
        map.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    /// Removes a value, or ENODATA.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        check_class(name)?;
        let mut map = self.0.lock();
        map.as_mut().and_then(|map| map.remove(name)).ok_or(Errno::ENODATA)?;
        Ok(())
    }

    /// All names.
    pub fn names(&self) -> Vec<Vec<u8>> {
        self.0.lock().as_ref().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }
}

impl Default for XattrMap {
    fn default() -> Self {
        Self::new()
    }
}

/// EOPNOTSUPP unless the name is of class user, trusted or security.
fn check_class(name: &[u8]) -> Result<()> {
    let is_kept = [&b"user."[..], b"trusted.", b"security."].iter().any(|class| name.starts_with(class));
    if is_kept { Ok(()) } else { Err(Errno::EOPNOTSUPP.into()) }
}

/// Whether `credentials` may read (or, with `writes`, change) attribute `name` of `inode`.
///
/// # Errors
/// EPERM, EACCES, and for a hidden trusted attribute ENODATA, as xattr(7) says.
pub fn check(inode: &dyn Inode, name: &[u8], credentials: &Credentials, writes: bool) -> Result<()> {
    let access: Access = inode.access();
    if name.starts_with(b"trusted.") {
        let refused = if writes { Errno::EPERM } else { Errno::ENODATA };
        return if credentials.has(Capability::SysAdmin) { Ok(()) } else { Err(refused.into()) };
    }
    if name.starts_with(b"security.") {
        // Reading is free; writing file capabilities needs CAP_SETFCAP, all others CAP_SYS_ADMIN.
        let may_write = if name == b"security.capability" {
            credentials.has_over((access.uid, access.gid), Capability::Setfcap)
        } else {
            credentials.has(Capability::SysAdmin)
        };
        return if !writes || may_write { Ok(()) } else { Err(Errno::EPERM.into()) };
    }
    if name.starts_with(b"user.") {
        let is_data = matches!(access.file_type, FileType::Regular | FileType::Directory);
        if !is_data {
            return Err(if writes { Errno::EPERM } else { Errno::ENODATA }.into());
        }
        let is_sticky = access.file_type == FileType::Directory && access.permissions & 0o1000 != 0;
        if is_sticky && writes && !permission::is_owner(&access, credentials) {
            return Err(Errno::EPERM.into());
        }
        return permission::check_access(
            &access,
            credentials,
            if writes { permission::WRITE } else { permission::READ },
        );
    }
    Ok(())
}
