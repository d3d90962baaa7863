//! The NoCloud disk: a small FAT or ISO 9660 volume with the label `CIDATA`, in either case, that has the file
//! `coffer.toml` in its root; read and written in user space, straight from and to the block device.
//!
//! The label is cloud-init's (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>), so that clouds and
//! tools that make such disks serve. The volume fills the disk: there is no partition table. All of it is the host's, so
//! that as little as possible is read (a [`Window`] with a budget, which also ends loops of clusters), and nothing is believed.

mod fat;
mod iso9660;
mod window;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::{Error, SIZE_LIMIT};
use window::Window;

/// The volume's label.
pub const LABEL: &str = "CIDATA";

/// The file in its root.
pub const FILE: &str = "coffer.toml";

/// The bytes of the configuration on `disk`. None when the disk is not one with the label.
///
/// # Errors
/// If it has the label and still no file that can be read.
pub fn read(disk: impl Read + Seek) -> Result<Option<Vec<u8>>, Error> {
    let mut window = Window::new(disk);
    if fat::is_one(&mut window) {
        return fat::read(&mut window);
    }
    iso9660::read(&mut window)
}

/// A FAT volume with that configuration, to be attached to a machine.
///
/// # Errors
/// If the text is longer than a machine would take.
pub fn write(text: &str) -> Result<Vec<u8>, Error> {
    if text.len() > SIZE_LIMIT {
        return Err(Error::TooLarge { limit: SIZE_LIMIT });
    }
    fat::write(text.as_bytes())
}

/// The configuration on the first disk below `devices` (`/dev`) that the kernel names in `block` (`/sys/block`) and that has the
/// label, and the disk.
///
/// # Errors
/// As [`read`]. A disk that cannot be opened is not the one.
pub fn find(block: &Path, devices: &Path) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    let mut names: Vec<_> = fs::read_dir(block)
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    names.sort();
    for name in names {
        // Loop devices, RAM disks and the like hold nothing of the host's.
        if !PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix)) {
            continue;
        }
        let path = devices.join(name);
        let Ok(disk) = File::open(&path) else { continue };
        if let Some(bytes) = read(disk)? {
            return Ok(Some((path, bytes)));
        }
    }
    Ok(None)
}

/// What the names of disks begin with: virtio, SCSI, NVMe.
const PREFIXES: [&[u8]; 3] = [b"vd", b"sd", b"nvme"];

/// Takes a file's bytes, no more than a configuration may have.
fn take_file(file: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(Error::Disk)?;
    if bytes.len() > SIZE_LIMIT { Err(Error::TooLarge { limit: SIZE_LIMIT }) } else { Ok(bytes) }
}

fn is_label(text: &[u8]) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(LABEL.as_bytes())
}

#[cfg(test)]
mod tests;
