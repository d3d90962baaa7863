//! The devices of a privileged container: all that the machine has.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxResources,
    LinuxResourcesBuilder,
};
use rustix::fs::{major, minor};

use crate::Error;

/// What is in the machine's /dev and is every container's own.
const OWN: [&str; 12] =
    ["console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"];

/// The devices below the machine's /dev.
pub fn of_machine() -> Result<Vec<LinuxDevice>, Error> {
    let mut devices = Vec::new();
    list(Path::new("/dev"), &mut devices)?;
    Ok(devices)
}

fn list(folder: &Path, devices: &mut Vec<LinuxDevice>) -> Result<(), Error> {
    let what = || format!("list the devices in `{}`", folder.display());
    for entry in fs::read_dir(folder).map_err(Error::io(what()))? {
        let entry = entry.map_err(Error::io(what()))?;
        // One that has just gone is none.
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path();
        let is_own = folder == Path::new("/dev") && OWN.iter().any(|name| entry.file_name() == *name);
        let kind = metadata.file_type();
        let kind = match (is_own, kind.is_char_device(), kind.is_block_device()) {
            (true, ..) => continue,
            (_, true, _) => LinuxDeviceType::C,
            (_, _, true) => LinuxDeviceType::B,
            _ if metadata.is_dir() => {
                list(&path, devices)?;
                continue;
            }
            _ => continue,
        };
        let device = LinuxDeviceBuilder::default()
            .path(path)
            .typ(kind)
            .major(major(metadata.rdev()))
            .minor(minor(metadata.rdev()))
            .file_mode(metadata.mode() & 0o777)
            .uid(metadata.uid())
            .gid(metadata.gid());
        devices.push(device.build().map_err(|_| Error::Incomplete("linux.devices"))?);
    }
    Ok(())
}

/// The rule that lets a container use every device, also those that it makes.
pub fn all_allowed() -> Result<LinuxResources, Error> {
    let rule = LinuxDeviceCgroupBuilder::default().allow(true).typ(LinuxDeviceType::A).access("rwm").build();
    let rule = rule.map_err(|_| Error::Incomplete("linux.resources.devices"))?;
    LinuxResourcesBuilder::default()
        .devices(vec![rule])
        .build()
        .map_err(|_| Error::Incomplete("linux.resources"))
}
