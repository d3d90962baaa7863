//! mount_setattr(2): <https://man7.org/linux/man-pages/man2/mount_setattr.2.html>.

use super::own_namespace;
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::mount_tree;
use crate::syscall::fs::{AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::syscall::{Fd, UserCStr, UserPtr};
use coffer_abi_types::fs::mount_attr;

const MOUNT_ATTR_ATIME: u64 = 0x70;
const MOUNT_ATTR_RELATIME: u64 = 0;
const MOUNT_ATTR_NOATIME: u64 = 0x10;
const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;

/// `MOUNT_ATTR_*` bits that are a flag each.
const FLAGS: [(u64, MountFlags); 6] = [
    (0x01, MountFlags::READ_ONLY),
    (0x02, MountFlags::NO_SUID),
    (0x04, MountFlags::NO_DEV),
    (0x08, MountFlags::NO_EXEC),
    (0x80, MountFlags::NO_DIRATIME),
    (0x20_0000, MountFlags::NO_SYMFOLLOW),
];

/// mount_setattr(2).
pub fn sys_mount_setattr(
    dirfd: Fd,
    path: UserCStr,
    flags: u32,
    attributes: UserPtr<mount_attr>,
    size: usize,
    context: &mut Context<'_>,
) -> Result<()> {
    const KNOWN: u32 = AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    if size > 4096 {
        return Err(Errno::E2BIG.into());
    }
    if size < size_of::<mount_attr>() {
        return Err(Errno::EINVAL.into());
    }
    let namespace = own_namespace(context)?;
    let wanted = attributes.read_extensible(size)?;
    if wanted.attr_set == 0 && wanted.attr_clr == 0 && wanted.propagation == 0 {
        return Ok(());
    }
    if wanted.propagation & !super::PROPAGATION != 0 {
        return Err(Errno::EINVAL.into());
    }
    let propagation = super::propagation(wanted.propagation)?;
    let changes = (flags_of(wanted.attr_set)?, flags_of(wanted.attr_clr)?);
    let (times_set, times_cleared) = access_times(&wanted)?;
    let changes = (changes.0 | times_set, changes.1 | times_cleared);
    let (_, target) = lookup_at(dirfd, path, flags & !AT_RECURSIVE, AT_NO_AUTOMOUNT, context)?;
    mount_tree::change(&namespace, &target, changes, propagation, flags & AT_RECURSIVE != 0)
}

/// What `attr_flags` of fsmount(2) make of a new mount.
///
/// # Errors
/// EINVAL for what it does not know.
pub(super) fn new_flags(attributes: u64) -> Result<MountFlags> {
    let wanted = mount_attr { attr_set: attributes, attr_clr: MOUNT_ATTR_ATIME, ..mount_attr::default() };
    Ok(flags_of(attributes)? | access_times(&wanted)?.0)
}

fn flags_of(attributes: u64) -> Result<MountFlags> {
    if attributes & MOUNT_ATTR_IDMAP != 0 {
        return Err(Error::with(Errno::EINVAL, "no file system here can be mounted with other ids"));
    }
    let known = FLAGS.iter().fold(MOUNT_ATTR_ATIME, |known, (bit, _)| known | bit);
    if attributes & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let named = FLAGS.iter().filter(|(bit, _)| attributes & bit != 0);
    Ok(named.fold(MountFlags::empty(), |all, (_, flag)| all | *flag))
}

/// The settings for access times are numbers, not flags: whoever sets one has to clear them all.
fn access_times(wanted: &mount_attr) -> Result<(MountFlags, MountFlags)> {
    let set = wanted.attr_set & MOUNT_ATTR_ATIME;
    match wanted.attr_clr & MOUNT_ATTR_ATIME {
        0 if set == 0 => Ok((MountFlags::empty(), MountFlags::empty())),
        MOUNT_ATTR_ATIME => {
            let set = match set {
                MOUNT_ATTR_RELATIME => MountFlags::RELATIME,
                MOUNT_ATTR_NOATIME => MountFlags::NO_ATIME,
                MOUNT_ATTR_STRICTATIME => MountFlags::empty(),
                _ => return Err(Errno::EINVAL.into()),
            };
            Ok((set, MountFlags::RELATIME | MountFlags::NO_ATIME))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
