//! A merged object.

use super::Overlay;
use super::layer::{ATTRIBUTES, Part};
use super::lookup::Found;
use crate::error::{Errno, Result};
use crate::fs::open_file::{FileOps, flags};
use crate::fs::vfs::inode::{Access, Attributes, DirEntry, FileType, Inode, Metadata, NewInode, Renaming};
use crate::mm::page_cache::PageCache;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_overlay::Listing;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ostd::mm::{VmReader, VmWriter};
use ostd::sync::{Mutex, Once};

/// An object. Parents are held by their children, never the other way round.
#[derive(Debug)]
pub struct OverlayInode {
    pub(super) fs: Arc<Overlay>,
    this: Weak<Self>,
    pub(super) file_type: FileType,
    ino: AtomicU64,
    /// What was found when the object was made: the upper one or, without it, the top lower one.
    original: Part,
    is_upper: bool,
    /// The upper one, if it was made since.
    pub(super) copy: Once<Part>,
    /// Held while the object is copied up, and while its name is removed.
    pub(super) place: Mutex<Place>,
    /// It is in [`Overlay::shared`].
    is_shared: AtomicBool,
    directory: Option<Box<Directory>>,
}

/// Where an object is. Of several names, one that it had.
#[derive(Debug)]
pub struct Place {
    /// `None` for the root and for files without a name.
    pub parent: Option<Arc<OverlayInode>>,
    /// The name.
    pub name: Box<[u8]>,
    /// Nothing leads there any more.
    pub is_removed: bool,
}

/// What directories have in addition.
#[derive(Debug)]
struct Directory {
    /// Those that show through, the top one first.
    lower: Box<[Part]>,
    /// Merged names, once somebody read them.
    listing: Mutex<Option<Listing<FileType>>>,
}

impl OverlayInode {
    /// The object for what was found at `place`. All names of a file with several lead to one object.
    pub fn new(fs: &Arc<Overlay>, found: Found, place: Place) -> Result<Arc<Self>> {
        let (original, is_upper) = match (&found.upper, found.lower.first()) {
            (Some(upper), _) => (upper.clone(), true),
            (None, Some(lower)) => (lower.clone(), false),
            (None, None) => return Err(Errno::ENOENT.into()),
        };
        let may_be_shared = is_upper && !original.is_directory() && original.inode.metadata().links > 1;
        if may_be_shared && let Some(known) = fs.find_shared(&original) {
            return Ok(known);
        }
        let ino = found.ino();
        let directory = original.is_directory().then(|| {
            Box::new(Directory { lower: found.lower.into_boxed_slice(), listing: Mutex::new(None) })
        });
        let new = Arc::new_cyclic(|this| Self {
            fs: fs.clone(),
            this: this.clone(),
            file_type: original.inode.access().file_type,
            ino: AtomicU64::new(ino),
            original,
            is_upper,
            copy: Once::new(),
            place: Mutex::new(place),
            is_shared: AtomicBool::new(false),
            directory,
        });
        Ok(if may_be_shared { new.share() } else { new })
    }

    /// A counted reference to itself.
    pub fn to_arc(&self) -> Result<Arc<Self>> {
        self.this.upgrade().ok_or(Errno::ENOENT.into())
    }

    /// As an object of overlayfs; EXDEV if it is none.
    pub fn from_inode(inode: &Arc<dyn Inode>) -> Result<Arc<Self>> {
        let any: Arc<dyn Any + Send + Sync> = inode.clone();
        any.downcast().map_err(|_| Errno::EXDEV.into())
    }

    /// How many overlays are at and below `inode`'s file system: 0 for objects of others.
    pub fn depth_of(inode: &Arc<dyn Inode>) -> u32 {
        Self::from_inode(inode).map_or(0, |inode| inode.fs.depth)
    }

    /// The upper one, if there is one.
    pub fn upper(&self) -> Option<&Part> {
        self.copy.get().or(if self.is_upper { Some(&self.original) } else { None })
    }

    /// What it shows now.
    pub fn real(&self) -> &Part {
        self.copy.get().unwrap_or(&self.original)
    }

    /// Of directories: the lower ones that show through, the top one first.
    pub fn lower(&self) -> &[Part] {
        self.directory.as_ref().map_or(&[], |directory| &directory.lower)
    }

    /// The merged names; ENOTDIR.
    pub fn listing(&self) -> Result<&Mutex<Option<Listing<FileType>>>> {
        Ok(&self.directory.as_ref().ok_or(Errno::ENOTDIR)?.listing)
    }

    /// Inode number.
    pub fn ino(&self) -> u64 {
        self.ino.load(Ordering::Relaxed)
    }

    /// Changes the inode number: a name of a lower file with several names becomes a file of its own.
    pub fn set_ino(&self, ino: u64) {
        self.ino.store(ino, Ordering::Relaxed);
    }

    /// The inode number of "..".
    pub fn parent_ino(&self) -> u64 {
        self.place.lock().parent.as_ref().map_or(self.ino(), |parent| parent.ino())
    }

    /// From now on, other names of its upper file lead to this object; returns the one that they lead to.
    pub fn share(self: Arc<Self>) -> Arc<Self> {
        let Some(upper) = self.upper() else { return self };
        let key = key(upper);
        let mut shared = self.fs.shared.lock();
        if let Some(known) = shared.get(&key).and_then(Weak::upgrade) {
            drop(shared);
            return known;
        }
        shared.insert(key, Arc::downgrade(&self));
        self.is_shared.store(true, Ordering::Relaxed);
        drop(shared);
        self
    }
}

impl Overlay {
    fn find_shared(&self, upper: &Part) -> Option<Arc<OverlayInode>> {
        self.shared.lock().get(&key(upper)).and_then(Weak::upgrade)
    }
}

fn key(upper: &Part) -> usize {
    Arc::as_ptr(&upper.inode).cast::<()>().addr()
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        if *self.is_shared.get_mut()
            && let Some(upper) = self.upper()
        {
            let key = key(upper);
            let mut shared = self.fs.shared.lock();
            // Another may have taken its place since the last reference went.
            if shared.get(&key).is_some_and(|entry| entry.strong_count() == 0) {
                shared.remove(&key);
            }
        }
        // Parents that only their children hold must not go by recursion: the depth is the users' choice.
        let mut next = self.place.get_mut().parent.take();
        while let Some(parent) = next {
            next = match Arc::into_inner(parent) {
                Some(mut parent) => parent.place.get_mut().parent.take(),
                None => None,
            };
        }
    }
}

impl Inode for OverlayInode {
    fn metadata(&self) -> Metadata {
        let mut metadata = self.real().inode.metadata();
        metadata.dev = self.fs.device;
        metadata.ino = self.ino();
        if self.lower().len() + usize::from(self.upper().is_some()) > 1 {
            // As Linux: nobody counts the subdirectories of a merged directory; find(1) knows 1 as "unknown".
            metadata.links = 1;
        }
        metadata
    }

    fn access(&self) -> Access {
        self.real().inode.access()
    }

    fn size(&self) -> u64 {
        self.real().inode.size()
    }

    fn touch_accessed(&self) {
        // Lower layers stay as they are.
        if let Some(upper) = self.upper() {
            upper.inode.touch_accessed();
        }
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        // Data that is cut off need not be copied.
        self.copied_up(change.size.unwrap_or(u64::MAX))?.inode.set_attributes(change)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let found = self.find(name)?.ok_or(Errno::ENOENT)?;
        Ok(self.adopt(name, found)?)
    }

    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        Ok(self.create_in_upper(name, what, permissions, owner)?)
    }

    fn create_unnamed(&self, permissions: u32, owner: (u32, u32)) -> Result<Arc<dyn Inode>> {
        Ok(self.create_unnamed_in_upper(permissions, owner)?)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        self.link_in_upper(name, &Self::from_inode(target)?)
    }

    fn unlink(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let victim = Self::from_inode(victim)?;
        self.hide(name, &victim)
    }

    fn rmdir(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let victim = Self::from_inode(victim)?;
        victim.check_empty()?;
        self.hide(name, &victim)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        self.rename_in_upper(renaming)
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        self.list(from, emit)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        self.real().inode.read_link()
    }

    fn seek_data(&self, from: u64, hole: bool) -> Result<u64> {
        self.real().inode.seek_data(from, hole)
    }

    fn read_at(&self, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.real().inode.read_at(offset, writer)
    }

    fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.copied_up(u64::MAX)?.inode.write_at(offset, reader)
    }

    fn append(&self, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        self.copied_up(u64::MAX)?.inode.append(reader)
    }

    fn page_cache(&self) -> Option<&PageCache> {
        self.real().inode.page_cache()
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        // Only data is copied for a writer: writing to a device or a FIFO does not change the node.
        if self.file_type == FileType::Regular && flags & flags::O_ACCMODE != flags::O_RDONLY {
            self.copied_up(if flags & flags::O_TRUNC != 0 { 0 } else { u64::MAX })?;
        }
        Ok(None)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        self.copied_up(u64::MAX)?.inode.allocate(mode, offset, len)
    }

    fn sync(&self) -> Result<()> {
        match self.upper() {
            Some(upper) if !self.fs.is_volatile => upper.inode.sync(),
            _ => Ok(()),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        check_attribute(name)?;
        self.real().inode.get_xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        check_attribute(name)?;
        self.copied_up(u64::MAX)?.inode.set_xattr(name, value, flags)
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        check_attribute(name)?;
        if self.upper().is_none() {
            // Nothing is copied for an attribute that is not there.
            self.real().inode.get_xattr(name)?;
        }
        self.copied_up(u64::MAX)?.inode.remove_xattr(name)
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = self.real().inode.list_xattrs()?;
        names.retain(|name| !name.starts_with(ATTRIBUTES));
        Ok(names)
    }
}

/// EOPNOTSUPP for attributes that are the overlay's own.
fn check_attribute(name: &[u8]) -> Result<()> {
    if name.starts_with(ATTRIBUTES) { Err(Errno::EOPNOTSUPP.into()) } else { Ok(()) }
}
