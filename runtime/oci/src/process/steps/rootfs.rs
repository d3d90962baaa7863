//! The root file system: keeping mounts to ourselves, entering it with `pivot_root(2)`, making it read-only.

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::Error;
use crate::root::Root;

/// Makes every mount private, so that nothing that follows is seen outside, and nothing mounted outside comes in later.
pub fn detach_propagation(root: &Root) -> Result<(), Error> {
    let flags = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", flags).map_err(Error::system("make mounts private"))?;
    // pivot_root wants the new root to be a mount point; binding it to itself makes sure.
    rustix::mount::mount_bind_recursive(root.path(), root.path())
        .map_err(Error::system("bind the root file system"))
}

/// Makes the tree the root and drops the machine's from the namespace.
pub fn enter(root: &Root) -> Result<(), Error> {
    rustix::process::chdir(root.path()).map_err(Error::system("enter the root file system"))?;
    // With "." twice the old root ends up mounted over the new one, where a detached unmount takes it away: no
    // directory for it is needed in the image. pivot_root(2) documents this use.
    rustix::process::pivot_root(".", ".").map_err(Error::system("pivot to the root file system"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(Error::system("unmount the old root"))?;
    rustix::process::chdir("/").map_err(Error::system("enter the new root"))
}

/// Remounts the root read-only; the mounts on it stay as they are.
pub fn make_read_only() -> Result<(), Error> {
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    rustix::mount::mount_remount("/", flags, "").map_err(Error::system("make the root file system read-only"))
}
