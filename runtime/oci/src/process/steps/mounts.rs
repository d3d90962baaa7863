//! The mounts of the configuration, made in the new tree before it becomes the root.
//!
//! Nothing is mounted at a path: the target is opened inside of the tree first and the mount goes onto the descriptor, because a path that
//! leads over a volume can be bent by another container in between. A bind mount gets its flags in a second call, which would need its path
//! again; so it is made and changed over its own source, which is ours, and then moved.

use std::ffi::CString;
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use rustix::io::Errno;
use rustix::mount::MountFlags;

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
        return match rustix::mount::mount(source, path_of(&target), kind, flags, data.as_c_str()) {
            // Message queues are an option of the kernel's configuration.
            Err(Errno::NODEV) if kind == "mqueue" => Ok(()),
            result => result.map_err(Error::system(what)),
        };
    }

    let metadata = std::fs::metadata(source).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NoSource(source.display().to_string()),
        _ => Error::io(what.clone())(error),
    })?;
    let missing = if metadata.is_dir() { Missing::Directory } else { Missing::File };
    let target = root.open_or_make(mount.destination(), missing).map_err(Error::io(what.clone()))?;
    let is_recursive = flags.contains(MountFlags::REC);
    // A bind mount takes its flags only in a second call.
    let flags = flags.difference(MountFlags::BIND | MountFlags::REC);
    if flags.is_empty() {
        return bind(source, &path_of(&target), is_recursive).map_err(Error::system(what));
    }
    bind(source, source, is_recursive)
        .and_then(|()| rustix::mount::mount_remount(source, flags | MountFlags::BIND, c""))
        .and_then(|()| rustix::mount::mount_move(source, path_of(&target)))
        .map_err(Error::system(what))
}

fn bind(source: &Path, target: &Path, is_recursive: bool) -> Result<(), Errno> {
    if is_recursive {
        rustix::mount::mount_bind_recursive(source, target)
    } else {
        rustix::mount::mount_bind(source, target)
    }
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
    fn options_are_flags_or_text() {
        let (flags, data) = options(&["nosuid", "ro", "mode=755", "rw", "size=64k"].map(String::from));
        assert_eq!((flags, data.as_str()), (MountFlags::NOSUID, "mode=755,size=64k"));
    }
}
