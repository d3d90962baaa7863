//! `mount_setattr(2)`: what a tree of mounts does not allow, changed for all of it at once.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// `struct mount_attr`, as of its first version.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `MOUNT_ATTR_*`: read-only.
pub const READ_ONLY: u64 = 0x1;
/// Set-user-ID bits have no effect.
pub const NO_SUID: u64 = 0x2;
/// Device nodes cannot be opened.
pub const NO_DEV: u64 = 0x4;
/// Nothing can be executed.
pub const NO_EXEC: u64 = 0x8;
/// Access times stay.
pub const NO_ATIME: u64 = 0x10;
/// Access times always move.
pub const STRICT_ATIME: u64 = 0x20;
/// All settings for access times, which are numbers and not flags: to be cleared by whoever sets one.
pub const ATIME: u64 = 0x70;

/// Sets and clears attributes of the mount whose root is open as `mount`, and of all mounts below.
///
/// # Errors
///
/// What `mount_setattr(2)` returns.
pub fn set_attributes(mount: BorrowedFd<'_>, set: u64, clear: u64) -> Result<(), Errno> {
    let attributes = MountAttr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a string with its NUL, and the structure is as long as it is said to be; both live until the call is done.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_not_known_is_refused() {
        let folder = std::fs::File::open("/").unwrap();
        // Without privilege the answer is another one.
        let refused = set_attributes(folder.as_fd(), 1 << 40, 0).unwrap_err();
        assert!([Errno::INVAL, Errno::PERM, Errno::NOSYS].contains(&refused), "{refused}");
    }
}
