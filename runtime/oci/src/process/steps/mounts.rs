//! The mounts of the configuration, made in the new tree before it becomes the root.
//!
//! Nothing is mounted at a path: the target is opened inside of the tree first and the mount goes onto the descriptor, because a path that
//! leads over a volume can be bent by another container in between. A bind mount is a copy of its source that sits nowhere, gets its flags
//! (with all that is mounted below) and is then moved to where it belongs.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use runtime_sys::mount;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags};

use crate::Error;
use crate::root::{Missing, Root, path_of};

/// Makes all of them, in order.
pub fn mount_all(spec: &Spec, root: &Root) -> Result<(), Error> {
    spec.mounts().iter().flatten().try_for_each(|mount| mount_one(mount, root))
}

fn mount_one(mount: &Mount, root: &Root) -> Result<(), Error> {
    let what = format!("mount `{}`", mount.destination().display());
    let kind = mount.typ().as_deref().unwrap_or("bind");
    let source = mount.source().as_deref().unwrap_or(Path::new(kind));
    let (flags, data) = options(mount.options().as_deref().unwrap_or_default());

    if kind != "bind" && !flags.contains(MountFlags::BIND) {
        let target =
            root.open_or_make(mount.destination(), Missing::Directory).map_err(Error::io(what.clone()))?;
        let data = CString::new(data).map_err(|_| Error::Nul { what: "mount options" })?;
        // OCI's name for both versions; here there is the second.
        let kind = if kind == "cgroup" { "cgroup2" } else { kind };
        return rustix::mount::mount(source, path_of(&target), kind, flags, data.as_c_str())
            .map_err(Error::system(what));
    }

    let metadata = std::fs::metadata(source).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NoSource(source.display().to_string()),
        _ => Error::io(what.clone())(error),
    })?;
    let missing = if metadata.is_dir() { Missing::Directory } else { Missing::File };
    let target = root.open_or_make(mount.destination(), missing).map_err(Error::io(what.clone()))?;
    bind(source, target.as_fd(), flags).map_err(Error::system(what))
}

/// Shows `source` at `target`, with all that is mounted below if `flags` say so.
fn bind(source: &Path, target: BorrowedFd<'_>, flags: MountFlags) -> Result<(), Errno> {
    let mut how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if flags.contains(MountFlags::REC) {
        how |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(CWD, source, how)?;
    let (set, clear) = attributes(flags);
    if (set, clear) != (0, 0) {
        mount::set_attributes(tree.as_fd(), set, clear)?;
    }
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", target, c"", both)
}

/// What `flags` set and clear among the attributes of `mount_setattr(2)`.
fn attributes(flags: MountFlags) -> (u64, u64) {
    const NAMED: [(MountFlags, u64); 6] = [
        (MountFlags::RDONLY, mount::READ_ONLY),
        (MountFlags::NOSUID, mount::NO_SUID),
        (MountFlags::NODEV, mount::NO_DEV),
        (MountFlags::NOEXEC, mount::NO_EXEC),
        (MountFlags::NOATIME, mount::NO_ATIME),
        (MountFlags::STRICTATIME, mount::STRICT_ATIME),
    ];
    let named = NAMED.iter().filter(|(flag, _)| flags.contains(*flag));
    let set = named.fold(0, |all, (_, attribute)| all | attribute);
    let changes_times =
        flags.intersects(MountFlags::NOATIME | MountFlags::STRICTATIME | MountFlags::RELATIME);
    (set, if changes_times { mount::ATIME } else { 0 })
}

/// Sorts options into flags of `mount(2)` and text for the file system.
fn options(options: &[String]) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match option.as_str() {
            "ro" => flags |= MountFlags::RDONLY,
            "rw" => flags.remove(MountFlags::RDONLY),
            "nosuid" => flags |= MountFlags::NOSUID,
            "suid" => flags.remove(MountFlags::NOSUID),
            "nodev" => flags |= MountFlags::NODEV,
            "dev" => flags.remove(MountFlags::NODEV),
            "noexec" => flags |= MountFlags::NOEXEC,
            "exec" => flags.remove(MountFlags::NOEXEC),
            "noatime" => flags |= MountFlags::NOATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "strictatime" => flags |= MountFlags::STRICTATIME,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            "bind" => flags |= MountFlags::BIND,
            "rbind" => flags |= MountFlags::BIND | MountFlags::REC,
            text => data.push(text),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_attributes() {
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::BIND | MountFlags::REC;
        assert_eq!(attributes(flags), (mount::READ_ONLY | mount::NO_DEV, 0));
        assert_eq!(attributes(MountFlags::NOATIME), (mount::NO_ATIME, mount::ATIME));
        assert_eq!(attributes(MountFlags::RELATIME), (0, mount::ATIME));
    }

    #[test]
    fn options_are_flags_or_text() {
        let (flags, data) = options(&["nosuid", "ro", "mode=755", "rw", "size=64k"].map(String::from));
        assert_eq!((flags, data.as_str()), (MountFlags::NOSUID, "mode=755,size=64k"));
    }
}
