//! The work directory: what is to appear in the upper layer is made here first and moved there in one step. What an error or a crash leaves
//! is cleared away, at once or by the next mount.

use super::layer::Part;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::dentry::Dentry;
use crate::fs::vfs::edit::{self, RENAME_EXCHANGE, RENAME_NOREPLACE, unchecked};
use crate::fs::vfs::file_system::SuperBlock;
use crate::fs::vfs::inode::{FileType, Inode, NewInode};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// Our directory in the one that was given, as Linux calls it.
const NAME: &[u8] = b"work";
/// How deep what is left may be: a removed directory with its whiteouts. Deeper things are not ours.
const DEPTH_MAX: u32 = 3;

/// The directory.
#[derive(Debug)]
pub struct Work {
    directory: Arc<Dentry>,
    super_block: Arc<SuperBlock>,
    next: AtomicU64,
}

/// Something in the work directory. What is there by its name in the end is removed.
#[derive(Debug)]
pub struct Temporary<'a> {
    work: &'a Work,
    name: Box<[u8]>,
    dentry: Arc<Dentry>,
    is_gone: bool,
}

impl Work {
    /// Makes `work` in `directory`, or clears it.
    pub fn new(directory: &Arc<Dentry>, super_block: Arc<SuperBlock>) -> Result<Self> {
        let old = directory.child(NAME)?;
        if old.is_positive() {
            remove(directory, NAME, DEPTH_MAX)?;
        }
        let directory = edit::create(directory, NAME, NewInode::Directory, 0, (0, 0), unchecked)?;
        Ok(Self { directory, super_block, next: AtomicU64::new(0) })
    }

    /// Something new.
    pub fn create(&self, what: NewInode<'_>, permissions: u32, owner: (u32, u32)) -> Result<Temporary<'_>> {
        let name = self.fresh_name();
        let dentry = edit::create(&self.directory, &name, what, permissions, owner, unchecked)?;
        Ok(Temporary { work: self, name, dentry, is_gone: false })
    }

    /// Another name of `target`.
    pub fn link(&self, target: &Part) -> Result<Temporary<'_>> {
        let name = self.fresh_name();
        let dentry = edit::link(&self.directory, &name, &target.dentry, unchecked)?;
        Ok(Temporary { work: self, name, dentry, is_gone: false })
    }

    /// The mark that nothing has a name.
    pub fn whiteout(&self) -> Result<Temporary<'_>> {
        self.create(NewInode::Node(FileType::CharDevice, 0), 0, (0, 0))
    }

    /// Takes `name` out of `directory` of the upper layer, with all that is in it.
    pub fn take(&self, directory: &Part, name: &[u8]) -> Result<()> {
        let temporary = self.fresh_name();
        self.rename((&directory.dentry, name), (&self.directory, &temporary), RENAME_NOREPLACE)?;
        remove(&self.directory, &temporary, DEPTH_MAX)
    }

    /// Renames within the upper layer's file system.
    pub fn rename(&self, from: (&Arc<Dentry>, &[u8]), to: (&Arc<Dentry>, &[u8]), flags: u32) -> Result<()> {
        edit::rename(&self.super_block, from, to, flags, |_, _| Ok(()))
    }

    fn fresh_name(&self) -> Box<[u8]> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        alloc::format!("#{number:x}").into_bytes().into_boxed_slice()
    }
}

impl Temporary<'_> {
    /// As a part of the upper layer.
    pub fn part(&self) -> Result<Part> {
        Part::new_upper(self.dentry.clone())
    }

    /// Moves it to `name` in `directory`, where nothing is.
    pub fn move_to(self, directory: &Part, name: &[u8]) -> Result<Part> {
        self.rename(directory, name, RENAME_NOREPLACE)
    }

    /// Moves it to `name` in `directory` in place of what is there, which is no directory; nor is this.
    pub fn replace(self, directory: &Part, name: &[u8]) -> Result<Part> {
        self.rename(directory, name, 0)
    }

    /// Moves it to `name` in `directory` and removes what was there.
    pub fn exchange(self, directory: &Part, name: &[u8]) -> Result<Part> {
        let part = self.part()?;
        self.work.rename((&self.work.directory, &self.name), (&directory.dentry, name), RENAME_EXCHANGE)?;
        Ok(part)
    }

    /// Removes its name; the object lives on as long as the part does.
    pub fn into_unnamed(self) -> Result<Part> {
        self.part()
    }

    fn rename(mut self, directory: &Part, name: &[u8], flags: u32) -> Result<Part> {
        let part = self.part()?;
        self.work.rename((&self.work.directory, &self.name), (&directory.dentry, name), flags)?;
        self.is_gone = true;
        Ok(part)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_gone
            && let Err(error) = remove(&self.work.directory, &self.name, DEPTH_MAX)
        {
            log::warn!("overlay: the work directory keeps a file: {error:?}");
        }
    }
}

/// Removes `name` from `directory`, with what is in it.
fn remove(directory: &Arc<Dentry>, name: &[u8], depth: u32) -> Result<()> {
    let victim = directory.child(name)?;
    if victim.is_directory() {
        let depth = depth
            .checked_sub(1)
            .ok_or(Error::with(Errno::ENOTEMPTY, "overlay: the work directory is too deep"))?;
        for name in names(&**victim.inode()?)? {
            remove(&victim, &name, depth)?;
        }
    }
    edit::remove(directory, name, victim.is_directory(), unchecked)
}

fn names(directory: &dyn Inode) -> Result<Vec<Box<[u8]>>> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    directory.read_dir(0, &mut |entry| {
        if entry.name != b"." && entry.name != b".." {
            names.push(entry.name.into());
        }
        true
    })?;
    Ok(names)
}
