//! The nodes and links of the container's /dev: the runtime specification's default devices and those configured.
//!
//! <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices>

use std::path::Path;

use oci_spec::runtime::{LinuxDeviceType, Spec};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, makedev};
use rustix::mount::{MountFlags, mount_bind, mount_remount};

use crate::Error;
use crate::root::{Root, path_of};

/// Name, major and minor number.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Makes them in the tree, whose /dev is an empty tmpfs by now.
pub fn create(spec: &Spec, root: &Root) -> Result<(), Error> {
    for (path, major, minor) in DEFAULT {
        node(root, Path::new(path), FileType::CharacterDevice, (major, minor), 0o666, (0, 0))?;
    }
    for device in spec.linux().iter().filter_map(|linux| linux.devices().as_ref()).flatten() {
        let unsupported =
            || Error::Unsupported { what: "device", value: device.path().display().to_string() };
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
            LinuxDeviceType::B => FileType::BlockDevice,
            LinuxDeviceType::P => FileType::Fifo,
            LinuxDeviceType::A => return Err(unsupported()),
        };
        let number = |number: i64| u32::try_from(number).map_err(|_| unsupported());
        let numbers = (number(device.major())?, number(device.minor())?);
        let owner = (device.uid().unwrap_or_default(), device.gid().unwrap_or_default());
        node(root, device.path(), kind, numbers, device.file_mode().unwrap_or(0o666), owner)?;
    }
    if !is_every_device_allowed(spec) {
        forbid_others(root)?;
    }
    // Even /dev may be a link in the image; then it is the link's target, inside, that has the tmpfs.
    for (path, target) in LINKS {
        let what = || format!("create `{path}`");
        let (folder, name) = root.place(Path::new(path)).map_err(Error::io(what()))?;
        rustix::fs::symlinkat(target, &folder, &name).map_err(Error::system(what()))?;
    }
    Ok(())
}

fn node(
    root: &Root,
    path: &Path,
    kind: FileType,
    numbers: (u32, u32),
    mode: u32,
    owner: (u32, u32),
) -> Result<(), Error> {
    let what = format!("create `{}`", path.display());
    let (folder, name) = root.place(path).map_err(Error::io(what.clone()))?;
    let device = makedev(numbers.0, numbers.1);
    rustix::fs::mknodat(&folder, &name, kind, Mode::from_raw_mode(mode & 0o777), device)
        .map_err(Error::system(what.clone()))?;
    let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
    rustix::fs::chownat(&folder, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(Error::system(what.clone()))?;
    if kind == FileType::Fifo {
        return Ok(());
    }
    // A mount of its own, which alone lets the device be opened once everything around it is nodev. Nobody else reaches the new tmpfs.
    let open = || {
        rustix::fs::openat(&folder, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    };
    let at = open().map_err(Error::system(what.clone()))?;
    mount_bind(path_of(&at), path_of(&at)).map_err(Error::system(what.clone()))?;
    let at = open().map_err(Error::system(what.clone()))?;
    mount_remount(path_of(&at), MountFlags::BIND | MountFlags::NOSUID | MountFlags::NOEXEC, c"")
        .map_err(Error::system(what))
}

/// Whether a rule lets the container use whatever device there is.
fn is_every_device_allowed(spec: &Spec) -> bool {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let rules = resources.and_then(|resources| resources.devices().as_ref());
    rules.into_iter().flatten().any(|rule| {
        rule.allow()
            && rule.typ() == Some(LinuxDeviceType::A)
            && rule.major().is_none()
            && rule.minor().is_none()
            && rule.access().as_deref() == Some("rwm")
    })
}

/// Makes every other device that the container has, or makes by its CAP_MKNOD, one that cannot be opened: the machine's disks hold
/// what is not the container's. (The root is nodev from the start; Linux does the same by cgroups, which Coffer does not have yet.)
fn forbid_others(root: &Root) -> Result<(), Error> {
    let what = || "make `/dev` nodev".to_owned();
    let at = root.open(Path::new("/dev"), OFlags::PATH | OFlags::CLOEXEC).map_err(Error::io(what()))?;
    let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::STRICTATIME;
    mount_remount(path_of(&at), flags, c"").map_err(Error::system(what()))
}
