//! Changes of a merged directory: they are changes of its upper one, with marks for what lower layers still have.

use super::inode::{OverlayInode, Place};
use super::layer::Part;
use super::lookup::Found;
use crate::error::{Errno, Result};
use crate::fs::vfs::dentry::Dentry;
use crate::fs::vfs::edit::{self, RENAME_EXCHANGE, unchecked};
use crate::fs::vfs::inode::{FileType, NewInode, Renaming};
use alloc::sync::Arc;
use coffer_overlay::Entry;

impl OverlayInode {
    /// Makes `name`.
    pub fn create_in_upper(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Result<Arc<Self>> {
        let directory = self.copied_up(u64::MAX)?;
        let part = if check_free(directory, name)? {
            Part::new_upper(edit::create(&directory.dentry, name, what, permissions, owner, unchecked)?)?
        } else {
            let is_directory = matches!(what, NewInode::Directory);
            let new = self.fs.work()?.create(what, permissions, owner)?;
            if is_directory {
                // The whiteout hid a lower directory; this one must go on doing so.
                new.part()?.set_opaque()?;
                new.exchange(directory, name)?
            } else {
                new.replace(directory, name)?
            }
        };
        let new = self.adopt(name, Found::only_upper(part))?;
        self.name_added(name, &new);
        Ok(new)
    }

    /// A regular file without a name.
    pub fn create_unnamed_in_upper(&self, permissions: u32, owner: (u32, u32)) -> Result<Arc<Self>> {
        let directory = self.copied_up(u64::MAX)?;
        let inode = directory.inode.create_unnamed(permissions, owner)?;
        let dentry = Dentry::new_unnamed(inode, &directory.dentry, b"#", true);
        let found = Found::only_upper(Part::new_upper(dentry)?);
        Self::new(&self.fs, found, Place { parent: None, name: [].into(), is_removed: true })
    }

    /// Makes `name` another name of `target`.
    pub fn link_in_upper(&self, name: &[u8], target: &Arc<Self>) -> Result<()> {
        let directory = self.copied_up(u64::MAX)?;
        let upper = target.copied_up(u64::MAX)?;
        if check_free(directory, name)? {
            edit::link(&directory.dentry, name, &upper.dentry, unchecked)?;
        } else {
            self.fs.work()?.link(upper)?.replace(directory, name)?;
        }
        target.clone().share();
        self.name_added(name, target);
        Ok(())
    }

    /// Takes away `name`, which is `victim`: no directory, or one that shows nothing.
    pub fn hide(&self, name: &[u8], victim: &Self) -> Result<()> {
        let directory = self.copied_up(u64::MAX)?;
        let mut place = victim.place.lock();
        let work = self.fs.work()?;
        let upper = directory.child(name)?;
        match (upper, self.shows_through(name)?) {
            (Some(_), true) => drop(work.whiteout()?.exchange(directory, name)?),
            (None, true) => drop(work.whiteout()?.move_to(directory, name)?),
            // It may have whiteouts in it, which must not show while they go.
            (Some(upper), false) if upper.is_directory() => work.take(directory, name)?,
            (Some(_), false) => edit::remove(&directory.dentry, name, false, unchecked)?,
            (None, false) => return Err(Errno::ENOENT.into()),
        }
        place.is_removed = true;
        drop(place);
        self.name_removed(name);
        Ok(())
    }

    /// Renames.
    pub fn rename_in_upper(&self, renaming: &Renaming<'_>) -> Result<()> {
        let Renaming { name, new_name, .. } = *renaming;
        let new_parent = Self::from_inode(renaming.new_parent)?;
        let moving = Self::from_inode(renaming.moving)?;
        let target = renaming.target.map(Self::from_inode).transpose()?;
        moving.check_movable()?;
        if let Some(target) = &target {
            if renaming.exchange {
                target.check_movable()?;
            } else if target.file_type == FileType::Directory {
                target.check_empty()?;
            }
        }
        let directory = self.copied_up(u64::MAX)?;
        let new_directory = new_parent.copied_up(u64::MAX)?;
        moving.cover(&new_parent, new_name)?;

        if renaming.exchange {
            let target = target.ok_or(Errno::ENOENT)?;
            target.cover(self, name)?;
            let work = self.fs.work()?;
            work.rename((&directory.dentry, name), (&new_directory.dentry, new_name), RENAME_EXCHANGE)?;
            target.moved(self, name)?;
            self.name_added(name, &target);
        } else {
            let mut target_place = target.as_ref().map(|target| target.place.lock());
            self.replace((directory, name), (new_directory, new_name), &moving)?;
            if let Some(place) = &mut target_place {
                place.is_removed = true;
            }
            self.name_removed(name);
        }
        moving.moved(&new_parent, new_name)?;
        new_parent.name_added(new_name, &moving);
        Ok(())
    }

    /// The upper layer's part of a rename without exchange.
    fn replace(&self, from: (&Part, &[u8]), to: (&Part, &[u8]), moving: &Self) -> Result<()> {
        let work = self.fs.work()?;
        // Made before anything moves: afterwards there may be no room for it.
        let whiteout = if self.shows_through(from.1)? { Some(work.whiteout()?) } else { None };
        let (old, new) = ((&from.0.dentry, from.1), (&to.0.dentry, to.1));
        if moving.file_type == FileType::Directory && to.0.child(to.1)?.is_some() {
            // A whiteout, or a directory with nothing but whiteouts: rename(2) does not put a directory over these.
            work.rename(old, new, RENAME_EXCHANGE)?;
            return match whiteout {
                Some(whiteout) => whiteout.exchange(from.0, from.1).map(drop),
                None => work.take(from.0, from.1),
            };
        }
        work.rename(old, new, 0)?;
        match whiteout {
            Some(whiteout) => whiteout.move_to(from.0, from.1).map(drop),
            None => Ok(()),
        }
    }

    /// EXDEV for a directory that a lower layer has: its contents there cannot move along.
    fn check_movable(&self) -> Result<()> {
        if self.lower().is_empty() { Ok(()) } else { Err(Errno::EXDEV.into()) }
    }

    /// Makes it ready to be `name` in `parent`: it is in the upper layer, and if it is a directory nothing shows through.
    fn cover(&self, parent: &Self, name: &[u8]) -> Result<()> {
        let upper = self.copied_up(u64::MAX)?;
        if self.file_type == FileType::Directory && parent.shows_through(name)? {
            upper.set_opaque()?;
        }
        Ok(())
    }

    fn moved(&self, parent: &Self, name: &[u8]) -> Result<()> {
        let new = Place { parent: Some(parent.to_arc()?), name: name.into(), is_removed: false };
        let old = core::mem::replace(&mut *self.place.lock(), new);
        drop(old);
        Ok(())
    }

    fn name_added(&self, name: &[u8], inode: &Self) {
        if let Ok(listing) = self.listing()
            && let Some(listing) = &mut *listing.lock()
        {
            listing.add(name, Entry { ino: inode.ino(), file_type: inode.file_type });
        }
    }

    fn name_removed(&self, name: &[u8]) {
        if let Ok(listing) = self.listing()
            && let Some(listing) = &mut *listing.lock()
        {
            listing.remove(name);
        }
    }
}

/// Whether nothing has `name` in the upper directory; `false`: a whiteout has it.
///
/// # Errors
/// EEXIST if something else has it.
fn check_free(directory: &Part, name: &[u8]) -> Result<bool> {
    match directory.child(name)? {
        None => Ok(true),
        Some(part) if part.is_whiteout() => Ok(false),
        Some(_) => Err(Errno::EEXIST.into()),
    }
}
