//! Mounts: a root that can be left again, and the kernel's file systems.

use std::fs;
use std::io::ErrorKind;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::Error;

/// Where the new root is mounted before it is moved into place.
const NEW_ROOT: &str = "/newroot";

/// This program, in the initramfs and after it.
const PROGRAM: &str = "/init";

/// Mounts everything that the later phases and containers build on.
pub fn mount_all() -> Result<(), Error> {
    leave_initial_root()?;
    let protected = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let no_set_id = MountFlags::NOSUID;
    mount("/proc", "proc", protected, "")?;
    mount("/sys", "sysfs", protected, "")?;
    mount("/dev", "devtmpfs", no_set_id, "mode=0755")?;
    mount("/dev/pts", "devpts", no_set_id | MountFlags::NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")?;
    // Layers are unpacked here; a container executes and has devices and set-id programs from them.
    mount("/run", "tmpfs", MountFlags::empty(), "mode=0755")?;
    mount("/tmp", "tmpfs", no_set_id | MountFlags::NODEV, "mode=1777")?;
    // The hierarchy of control groups, and in a trust domain where quotes are asked for.
    mount_if_known("/sys/fs/cgroup", "cgroup2", protected)?;
    mount_if_known("/sys/kernel/config", "configfs", protected)
}

/// Mounts a file system where the kernel has it.
fn mount_if_known(folder: &str, kind: &str, flags: MountFlags) -> Result<(), Error> {
    match rustix::mount::mount(kind, folder, kind, flags, c"") {
        Ok(()) | Err(Errno::BUSY | Errno::NODEV | Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::system(format!("mount `{folder}`"))(errno)),
    }
}

/// Puts an empty tmpfs in the place of the initramfs. Linux cannot pivot_root(2) away from its first root, which
/// every container does; from a root mounted over it, it can.
fn leave_initial_root() -> Result<(), Error> {
    make_folder(NEW_ROOT)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", NEW_ROOT, "tmpfs", flags, c"mode=0755")
        .map_err(Error::system("mount a new root"))?;
    carry_program()?;
    let moved = rustix::process::chdir(NEW_ROOT)
        .and_then(|()| rustix::mount::mount_move(".", "/"))
        .and_then(|()| rustix::process::chroot("."));
    match moved {
        Ok(()) => rustix::process::chdir("/").map_err(Error::system("enter the new root")),
        // COMPAT: a kernel that does not move mounts lets go of its first root, or every container will say that it does not.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::process::chdir("/").map_err(Error::system("stay in the initial root"))?;
            rustix::mount::unmount(NEW_ROOT, UnmountFlags::DETACH)
                .map_err(Error::system("unmount the new root"))
        }
        Err(errno) => Err(Error::system("move to a new root")(errno)),
    }
}

/// Takes this program along into the new root, where the engine starts its helpers from and containers get their init from. Read-only: a
/// container reaches the file by /proc/PID/exe of a helper that joins it, and opens it on the mount that the helper was started from.
fn carry_program() -> Result<(), Error> {
    let carried = format!("{NEW_ROOT}{PROGRAM}");
    fs::write(&carried, b"").map_err(Error::system(format!("create `{carried}`")))?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_bind(PROGRAM, &carried)
        .and_then(|()| rustix::mount::mount_remount(&carried, flags, c""))
        .map_err(Error::system(format!("bind `{carried}`")))
}

/// Mounts a file system; one that the kernel mounted already is fine.
fn mount(target: &str, kind: &str, flags: MountFlags, data: &str) -> Result<(), Error> {
    make_folder(target)?;
    let data = std::ffi::CString::new(data).map_err(Error::system("mount"))?;
    match rustix::mount::mount(kind, target, kind, flags, data.as_c_str()) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(Error::system(format!("mount `{target}`"))(errno)),
    }
}

fn make_folder(path: &str) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::system(format!("create `{path}`"))(error))
        }
        _ => Ok(()),
    }
}
