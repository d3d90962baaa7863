//! Masked and read-only paths of /proc and /sys. Done inside the new root, so that paths mean what they say.

use std::fs;

use oci_spec::runtime::Spec;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::Error;

/// Hides and protects what the configuration lists. A path that does not exist needs neither.
pub fn hide(spec: &Spec) -> Result<(), Error> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    for path in linux.masked_paths().iter().flatten() {
        match fs::symlink_metadata(path) {
            Err(_) => {}
            Ok(metadata) if metadata.is_dir() => {
                rustix::mount::mount("tmpfs", path.as_str(), "tmpfs", MountFlags::RDONLY, c"size=0k")
                    .map_err(Error::system(format!("mask `{path}`")))?;
            }
            Ok(_) => absent_is_fine(rustix::mount::mount_bind("/dev/null", path.as_str()), "mask", path)?,
        }
    }
    for path in linux.readonly_paths().iter().flatten() {
        let flags = MountFlags::BIND | MountFlags::REC | MountFlags::RDONLY | protection(path);
        if fs::symlink_metadata(path).is_ok() {
            let bound = rustix::mount::mount_bind_recursive(path.as_str(), path.as_str());
            absent_is_fine(bound, "bind", path)?;
            rustix::mount::mount_remount(path.as_str(), flags, "")
                .map_err(Error::system(format!("make `{path}` read-only")))?;
        }
    }
    Ok(())
}

/// A remount sets all flags anew, so what /proc and /sys are mounted with is repeated.
fn protection(path: &str) -> MountFlags {
    if path.starts_with("/proc") || path.starts_with("/sys") {
        MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV
    } else {
        MountFlags::empty()
    }
}

fn absent_is_fine(result: Result<(), Errno>, action: &str, path: &str) -> Result<(), Error> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::system(format!("{action} `{path}`"))(errno)),
    }
}
