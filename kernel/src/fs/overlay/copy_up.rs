//! Copying an object from a lower layer to the upper one, before it changes for the first time.

use super::inode::{OverlayInode, Place};
use super::layer::{ATTRIBUTES, Part};
use super::work::Temporary;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::{Attributes, FileType, Inode, Metadata, NewInode};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::{VmReader, VmWriter};

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

impl OverlayInode {
    /// The upper object; makes it if there is none, and all directories above it. At most `limit` bytes of data are copied, for callers who
    /// cut off the rest.
    ///
    /// # Errors
    /// EROFS without an upper layer, or what the layers say: nothing has changed then.
    pub fn copied_up(&self, limit: u64) -> Result<&Part> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        // From the top down, by a list: the depth is the users' choice.
        let mut missing: Vec<Arc<Self>> = Vec::new();
        let mut at = self.parent_to_copy();
        while let Some(directory) = at {
            at = directory.parent_to_copy();
            missing.push(directory);
        }
        for directory in missing.iter().rev() {
            directory.copy_one(u64::MAX)?;
        }
        self.copy_one(limit)
    }

    /// The parent, if it has to be copied up first.
    fn parent_to_copy(&self) -> Option<Arc<Self>> {
        let place = self.place.lock();
        place.parent.clone().filter(|parent| !place.is_removed && parent.upper().is_none())
    }

    fn copy_one(&self, limit: u64) -> Result<&Part> {
        let place = self.place.lock();
        if let Some(upper) = self.upper() {
            // Somebody was faster.
            return Ok(upper);
        }
        if let Some(copy) = made_by_twin(&place)? {
            return Ok(self.copy.call_once(|| copy));
        }
        let original = &self.real().inode;
        let metadata = original.metadata();
        let copy = self.make_copy(original, &metadata, limit)?;

        // A lower file with several names loses them: each becomes a file of its own, so they cannot share the number.
        let keeps_ino = self.file_type == FileType::Directory || metadata.links == 1;
        if keeps_ino && self.file_type != FileType::Directory {
            copy.part()?.set_origin(self.ino())?;
        }
        let part = match &place.parent {
            Some(parent) if !place.is_removed => {
                let directory = parent.upper().ok_or(Errno::EIO)?;
                let before = directory.inode.metadata();
                let part = copy.move_to(directory, &place.name)?;
                // For users nothing came into the directory.
                set_times(&directory.inode, &before)?;
                part
            }
            _ => copy.into_unnamed()?,
        };
        if !keeps_ino {
            self.set_ino(part.ino());
        }
        Ok(self.copy.call_once(|| part))
    }

    /// A complete copy in the work directory.
    fn make_copy(&self, original: &Arc<dyn Inode>, metadata: &Metadata, limit: u64) -> Result<Temporary<'_>> {
        let target;
        let what = match self.file_type {
            FileType::Regular => NewInode::Regular,
            FileType::Directory => NewInode::Directory,
            FileType::Symlink => {
                target = original.read_link()?;
                NewInode::Symlink(&target)
            }
            other => NewInode::Node(other, metadata.rdev),
        };
        let owner = (metadata.uid, metadata.gid);
        let copy = self.fs.work()?.create(what, metadata.permissions, owner)?;
        let inode = copy.part()?.inode;
        if self.file_type == FileType::Regular {
            copy_data(original, &inode, metadata.size.min(limit))?;
        }
        copy_attributes(original, &inode)?;
        set_times(&inode, metadata)?;
        Ok(copy)
    }
}

/// The upper object that another object for the same place has made. There can be two when one of them is held without its name: the dentry
/// cache has let go of it, and makes another for the next lookup.
fn made_by_twin(place: &Place) -> Result<Option<Part>> {
    match &place.parent {
        Some(parent) if !place.is_removed => match parent.upper() {
            Some(directory) => Ok(directory.child(&place.name)?.filter(|part| !part.is_whiteout())),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Copies the first `size` bytes; holes stay holes.
fn copy_data(from: &Arc<dyn Inode>, to: &Arc<dyn Inode>, size: u64) -> Result<()> {
    let mut buffer = Vec::new();
    let len = CHUNK.min(usize::try_from(size).unwrap_or(CHUNK));
    buffer.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(len, 0u8);
    let mut at = 0;
    while at < size {
        at = match from.seek_data(at, false) {
            Ok(data) if data < size => data,
            Ok(_) => break,
            Err(error) if error.errno() == Errno::ENXIO => break,
            Err(error) => return Err(error),
        };
        let end = from.seek_data(at, true)?.min(size);
        while at < end {
            let wanted = len.min(usize::try_from(end - at).unwrap_or(len));
            let read = from.read_at(at, &mut VmWriter::from_slice(&mut buffer[..wanted]))?;
            if read == 0 {
                return Err(Errno::EIO.into());
            }
            let mut reader = VmReader::from_slice(&buffer[..read]);
            while reader.remaining() > 0 {
                let written = to.write_at(at, &mut reader)?;
                if written == 0 {
                    return Err(Errno::EIO.into());
                }
                at += written as u64;
            }
        }
    }
    if to.size() < size {
        to.set_attributes(&Attributes { size: Some(size), ..Attributes::default() })?;
    }
    Ok(())
}

/// Copies extended attributes, but for our own marks.
fn copy_attributes(from: &Arc<dyn Inode>, to: &Arc<dyn Inode>) -> Result<()> {
    for name in from.list_xattrs()? {
        if !name.starts_with(ATTRIBUTES) {
            to.set_xattr(&name, &from.get_xattr(&name)?, 0)?;
        }
    }
    Ok(())
}

fn set_times(inode: &Arc<dyn Inode>, metadata: &Metadata) -> Result<()> {
    let Metadata { accessed, modified, .. } = *metadata;
    inode.set_attributes(&Attributes {
        accessed: Some(accessed),
        modified: Some(modified),
        ..Attributes::default()
    })
}
