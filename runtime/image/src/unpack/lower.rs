//! The layers below the one being unpacked, seen as overlayfs will show them.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::metadata::Metadata;
use super::tree::{Tree, open_directory, status};
use super::whiteout;
use crate::tar::Time;

/// Something that a lower layer has.
#[derive(Debug)]
pub struct Found {
    /// The directory that it is in.
    pub parent: OwnedFd,
    pub status: Stat,
}

impl Found {
    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.status.st_mode)
    }

    /// Owner, mode and time. (Attributes other than capabilities matter little here; see [`capability`].)
    pub fn metadata(&self) -> Metadata {
        metadata(&self.status)
    }
}

/// Owner, mode and time of a layer's root directory.
pub fn of_root(layer: &Tree) -> Result<Metadata, Errno> {
    rustix::fs::fstat(layer).map(|status| metadata(&status))
}

fn metadata(status: &Stat) -> Metadata {
    Metadata {
        uid: status.st_uid,
        gid: status.st_gid,
        mode: status.st_mode & 0o7777,
        modified: Time {
            seconds: status.st_mtime,
            nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or_default(),
        },
        attributes: Vec::new(),
    }
}

/// The file capability of an open file, as an attribute to be set.
pub fn capability(file: impl AsFd) -> Option<(Vec<u8>, Vec<u8>)> {
    const NAME: &str = "security.capability";
    // The kernel's vfs_ns_cap_data has 24 bytes.
    let mut value = [0; 64];
    let length = rustix::fs::fgetxattr(file, NAME, &mut value).ok()?;
    Some((NAME.as_bytes().to_vec(), value.get(..length)?.to_vec()))
}

/// Finds what stands at `components` (not empty) in the topmost of `layers` that has it, whiteouts respected.
///
/// # Errors
///
/// ENOTDIR when the way leads through something that is not a directory; unexpected errors of the calls.
pub fn find(layers: &[Tree], components: &[Vec<u8>]) -> Result<Option<Found>, Errno> {
    let Some((name, way)) = components.split_last() else { return Ok(None) };
    for layer in layers {
        let mut is_covering = false;
        match descend(layer, way, &mut is_covering) {
            Ok(parent) => match status(&parent, name) {
                Ok(status) if whiteout::is_whiteout(&status) => return Ok(None),
                Ok(status) => return Ok(Some(Found { parent, status })),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            },
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        if is_covering {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Opens the directory at `way` in one layer; notes whether something on the way hides the layers below.
fn descend(layer: &Tree, way: &[Vec<u8>], is_covering: &mut bool) -> Result<OwnedFd, Errno> {
    let mut directory = open_directory(layer, b".")?;
    for component in way {
        directory = match open_directory(&directory, component) {
            Ok(next) => next,
            Err(Errno::NOTDIR) if whiteout::is_whiteout(&status(&directory, component)?) => {
                *is_covering = true;
                return Err(Errno::NOENT);
            }
            Err(errno) => return Err(errno),
        };
        *is_covering |= whiteout::is_opaque(&directory);
    }
    Ok(directory)
}
