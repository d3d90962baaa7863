//! The mounts of the configuration, made inside the tree before it becomes the root.
//!
//! Every destination is resolved within the tree, so a link in the image cannot lead a mount elsewhere.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::Error;
use crate::root::Root;

/// Makes all of them, in order.
pub fn mount_all(spec: &Spec, root: &Root) -> Result<(), Error> {
    spec.mounts().iter().flatten().try_for_each(|mount| mount_one(mount, root))
}

fn mount_one(mount: &Mount, root: &Root) -> Result<(), Error> {
    let what = format!("mount `{}`", mount.destination().display());
    let kind = mount.typ().as_deref().unwrap_or("bind");
    let source = mount.source().as_deref().unwrap_or(Path::new(kind));
    let (flags, data) = options(mount.options().as_deref().unwrap_or_default());
    let target = root.resolve(mount.destination()).map_err(Error::io(what.clone()))?;

    if kind != "bind" && !flags.contains(MountFlags::BIND) {
        fs::create_dir_all(&target).map_err(Error::io(what.clone()))?;
        let data = CString::new(data).map_err(|_| Error::Nul { what: "mount options" })?;
        return match rustix::mount::mount(source, &target, kind, flags, data.as_c_str()) {
            // Message queues are an option of the kernel's configuration.
            Err(Errno::NODEV) if kind == "mqueue" => Ok(()),
            result => result.map_err(Error::system(what)),
        };
    }

    if source.is_dir() {
        fs::create_dir_all(&target).map_err(Error::io(what.clone()))?;
    } else if !target.exists() {
        fs::File::create_new(&target).map_err(Error::io(what.clone()))?;
    }
    rustix::mount::mount_bind(source, &target).map_err(Error::system(what.clone()))?;
    // A bind mount takes its flags only in a second call.
    if flags.difference(MountFlags::BIND | MountFlags::REC).is_empty() {
        return Ok(());
    }
    rustix::mount::mount_remount(&target, flags | MountFlags::BIND, "").map_err(Error::system(what))
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
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
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
