//! Owner, mode, extended attributes and time of an entry.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::tar::{Entry, Time};

/// What a directory or file gets besides its contents.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    pub modified: Time,
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl From<&Entry> for Metadata {
    fn from(entry: &Entry) -> Self {
        Self {
            uid: entry.uid,
            gid: entry.gid,
            mode: entry.mode,
            modified: entry.modified,
            attributes: entry.attributes.clone(),
        }
    }
}

impl Metadata {
    /// Applies all to an open file or directory.
    pub fn apply(&self, file: impl AsFd) -> Result<(), Errno> {
        let file = file.as_fd();
        // This order: chown takes away set-id bits and capabilities, writing attributes may touch times.
        rustix::fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        for (name, value) in &self.attributes {
            if !is_allowed(name) {
                continue;
            }
            match rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                // tmpfs has had no user attributes for most of its life; docker, too, goes on without them.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno),
            }
        }
        rustix::fs::futimens(file, &timestamps(self.modified))
    }

    /// Applies owner, mode and time to the node `name`, which cannot be opened without effects (a device, a FIFO).
    pub fn apply_at(&self, parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
        let parent = parent.as_fd();
        self.apply_to_link(parent, name)?;
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
    }

    /// Applies owner and time to a symbolic link; it has no mode of its own.
    pub fn apply_to_link(&self, parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
        let parent = parent.as_fd();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::utimensat(parent, name, &timestamps(self.modified), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Which extended attributes a layer may set. Not `trusted.overlay.*` and `user.overlay.*`: overlayfs would take them for
/// its own, and a forged redirect points anywhere below. Not `security.selinux` and its like: labels of another machine.
fn is_allowed(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

fn timestamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Sets only the modification time; directories get theirs when nothing will be made in them any more.
pub fn set_time(file: impl AsFd, time: Time) -> Result<(), Errno> {
    rustix::fs::futimens(file, &timestamps(time))
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn overlayfs_attributes_cannot_be_forged() {
        assert!(is_allowed(b"security.capability") && is_allowed(b"user.mime_type"));
        for name in
            ["trusted.overlay.redirect", "trusted.overlay.opaque", "user.overlay.opaque", "security.selinux"]
        {
            assert!(!is_allowed(name.as_bytes()), "{name}");
        }
    }
}
