//! The first root file system: an unlimited tmpfs filled from the loader's cpio archive.
//!
//! The archive is measured with the image, and still nothing in it is believed: names that lead out of the tree, through links or into
//! files are refused.

use super::tmpfs;
use super::vfs::dentry::Dentry;
use super::vfs::edit;
use super::vfs::file_system::device_number;
use super::vfs::inode::{Attributes, FileType, NewInode, Timestamp};
use super::vfs::lookup::NAME_MAX;
use super::vfs::mount::{Mount, MountFlags};
use super::vfs::mount_ns::MountNs;
use crate::error::{Errno, Error, Result};
use crate::process::namespace::user::UserNamespace;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_cpio::{Entries, Entry};
use ostd::mm::VmReader;

/// Makes the initial mount namespace: its root is a tmpfs with the archive's contents.
///
/// # Errors
/// EINVAL for an archive that is refused (the log names the entry), ENOMEM.
pub fn mount_root(archive: &[u8]) -> Result<Arc<MountNs>> {
    let super_block = tmpfs::new_unlimited("rootfs");
    let root = super_block.root().clone();
    let count = unpack(archive, &root)?;
    log::info!("initramfs: {count} entries");
    Ok(MountNs::new(Mount::new(super_block, root, b"rootfs", MountFlags::empty()), UserNamespace::initial()))
}

/// Unpacks an archive below `root`; returns how many entries it had.
///
/// # Errors
/// As [`mount_root`].
pub fn unpack(archive: &[u8], root: &Arc<Dentry>) -> Result<usize> {
    let mut hard_links = BTreeMap::new();
    let mut directory_times = Vec::new();
    let mut count = 0;
    for entry in Entries::new(archive) {
        let entry = entry.map_err(|error| {
            log::error!("initramfs: entry {count}: {}", error.message());
            Error::new(Errno::EINVAL)
        })?;
        let dentry = unpack_entry(&entry, root, &mut hard_links).inspect_err(|error| {
            log::error!("initramfs: {}: {error:?}", alloc::string::String::from_utf8_lossy(entry.name));
        })?;
        if dentry.is_directory() {
            directory_times.push((dentry, entry.modified));
        }
        count += 1;
    }
    // Filling a directory changed its time: set those last.
    for (dentry, modified) in directory_times {
        set_modified(&dentry, modified)?;
    }
    Ok(count)
}

fn unpack_entry(
    entry: &Entry<'_>,
    root: &Arc<Dentry>,
    hard_links: &mut BTreeMap<u32, Arc<Dentry>>,
) -> Result<Arc<Dentry>> {
    let mut parts: Vec<&[u8]> =
        entry.name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.iter().any(|part| *part == b".." || part.len() > NAME_MAX) {
        return Err(Error::with(Errno::EINVAL, "the name leads out of the tree or is too long"));
    }
    let Some(name) = parts.pop() else {
        set_attributes(root, entry)?;
        return Ok(root.clone());
    };
    let mut directory = root.clone();
    for part in parts {
        let child = directory.child(part)?;
        if !child.is_directory() {
            return Err(Error::with(Errno::ENOTDIR, "the directory that it is in was not made by an entry"));
        }
        directory = child;
    }
    let file_type = FileType::from_mode(entry.mode).ok_or(Error::with(Errno::EINVAL, "unknown file type"))?;
    let old = directory.child(name)?;
    if old.is_directory() && file_type == FileType::Directory {
        set_attributes(&old, entry)?;
        return Ok(old);
    }
    if old.is_positive() {
        edit::remove(&directory, name, old.is_directory(), edit::unchecked)?;
    }

    let is_shared = entry.links > 1 && file_type == FileType::Regular;
    if is_shared && let Some(first) = hard_links.get(&entry.ino) {
        // The data comes with one of the names only.
        let dentry = edit::link(&directory, name, first, edit::unchecked)?;
        write(&dentry, entry.data)?;
        return Ok(dentry);
    }
    let what = match file_type {
        FileType::Regular => NewInode::Regular,
        FileType::Directory => NewInode::Directory,
        FileType::Symlink => NewInode::Symlink(entry.data),
        other => NewInode::Node(other, device_number(entry.device.0, entry.device.1)),
    };
    let owner = (entry.uid, entry.gid);
    let dentry = edit::create(&directory, name, what, entry.mode & 0o7777, owner, edit::unchecked)?;
    if file_type == FileType::Regular {
        write(&dentry, entry.data)?;
    }
    set_modified(&dentry, entry.modified)?;
    if is_shared {
        hard_links.insert(entry.ino, dentry.clone());
    }
    Ok(dentry)
}

fn write(dentry: &Arc<Dentry>, data: &[u8]) -> Result<()> {
    let mut reader = VmReader::from_slice(data);
    let mut offset = 0;
    while reader.remaining() > 0 {
        offset += dentry.inode()?.write_at(offset, &mut reader)? as u64;
    }
    Ok(())
}

fn set_attributes(dentry: &Arc<Dentry>, entry: &Entry<'_>) -> Result<()> {
    dentry.inode()?.set_attributes(&Attributes {
        permissions: Some(entry.mode & 0o7777),
        uid: Some(entry.uid),
        gid: Some(entry.gid),
        ..Attributes::default()
    })
}

fn set_modified(dentry: &Arc<Dentry>, seconds: u32) -> Result<()> {
    let time = Some(Timestamp { seconds: i64::from(seconds), nanos: 0 });
    dentry.inode()?.set_attributes(&Attributes { accessed: time, modified: time, ..Attributes::default() })
}
