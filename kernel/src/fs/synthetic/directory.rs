//! Directories: entries that stay, and a listing of entries that come and go.

use super::{Face, Link, Owner, Source, Target, Text, TextFile, Volume, refuse_change};
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::{Attributes, DirEntry, FileType, Inode, Metadata};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use ostd::sync::SpinLock;

/// Takes name, inode number, type and the position after an entry; whether it wants more.
pub type Emit<'a> = &'a mut dyn FnMut(&[u8], u64, FileType, u64) -> bool;

/// How a file is shown by a function.
pub type ShowText = fn(&mut Text) -> Result<()>;

/// How what was written is taken by a function.
pub type StoreBytes = fn(&[u8]) -> Result<()>;

/// Entries that come and go by themselves.
pub trait Listing: Any + Send + Sync + core::fmt::Debug {
    /// The entry of that name; ENOENT.
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>>;

    /// Calls `emit` for each entry from position `from` on, until it says `false`.
    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()>;

    /// Whether `child`, found before, still has this name.
    fn is_current(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let _ = (name, child);
        true
    }

    /// Who owns the directory.
    fn owner(&self) -> Owner {
        (0, 0)
    }
}

/// A directory.
#[derive(Debug)]
pub struct Directory {
    volume: Arc<Volume>,
    face: Face,
    entries: SpinLock<BTreeMap<String, Arc<dyn Inode>>>,
    listing: Option<Box<dyn Listing>>,
}

/// Where the listing's positions begin: entries that stay come first.
const LISTING_START: u64 = 1 << 32;

impl Directory {
    /// An empty directory.
    pub fn new(volume: &Arc<Volume>) -> Arc<Self> {
        let face = volume.next_face(FileType::Directory, 0o555);
        Arc::new(Self { volume: volume.clone(), face, entries: SpinLock::default(), listing: None })
    }

    /// A directory with a listing.
    pub fn with_listing(volume: &Arc<Volume>, face: Face, listing: impl Listing) -> Arc<Self> {
        Self::with_boxed_listing(volume, face, Box::new(listing))
    }

    /// As [`Self::with_listing`], of whichever type.
    pub fn with_boxed_listing(volume: &Arc<Volume>, face: Face, listing: Box<dyn Listing>) -> Arc<Self> {
        let listing = Some(listing);
        Arc::new(Self { volume: volume.clone(), face, entries: SpinLock::default(), listing })
    }

    /// The listing, if it is a `T`.
    pub fn listing<T: Listing>(&self) -> Option<&T> {
        let listing: &dyn Any = &**self.listing.as_ref()?;
        listing.downcast_ref()
    }

    /// Adds anything under `name`, replacing what had it.
    pub fn add(&self, name: &str, inode: Arc<dyn Inode>) {
        let old = self.entries.lock().insert(String::from(name), inode);
        drop(old);
    }

    /// Takes an entry away.
    pub fn remove(&self, name: &str) {
        let old = self.entries.lock().remove(name);
        drop(old);
    }

    /// The directory `name` in this one, made if need be.
    pub fn subdirectory(&self, name: &str) -> Arc<Self> {
        let mut entries = self.entries.lock();
        let known = entries.get(name).cloned().and_then(|inode| {
            let inode: Arc<dyn Any + Send + Sync> = inode;
            inode.downcast::<Self>().ok()
        });
        known.unwrap_or_else(|| {
            let new = Self::new(&self.volume);
            entries.insert(String::from(name), new.clone());
            new
        })
    }

    /// Adds a file that shows text.
    pub fn file(&self, name: &str, permissions: u32, source: impl Source) {
        let face = self.volume.next_face(FileType::Regular, permissions);
        self.add(name, TextFile::new(face, Arc::new(source)));
    }

    /// Adds a file that anyone may read, and nobody write.
    pub fn text(&self, name: &str, show: ShowText) {
        self.file(name, 0o444, Shown { show, store: None });
    }

    /// Adds a file that anyone may read, and its owner write.
    pub fn setting(&self, name: &str, show: ShowText, store: StoreBytes) {
        self.file(name, 0o644, Shown { show, store: Some(store) });
    }

    /// Adds a symbolic link.
    pub fn link(&self, name: &str, target: impl Target) {
        let face = self.volume.next_face(FileType::Symlink, 0o777);
        self.add(name, Link::new(face, Arc::new(target)));
    }
}

/// A file made by functions.
#[derive(Debug)]
struct Shown {
    show: ShowText,
    store: Option<StoreBytes>,
}

impl Source for Shown {
    fn show(&self, text: &mut Text) -> Result<()> {
        (self.show)(text)
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        self.store.map_or(Err(Errno::EIO.into()), |store| store(bytes))
    }
}

/// Fixed text.
impl Source for &'static str {
    fn show(&self, text: &mut Text) -> Result<()> {
        text.bytes(self.as_bytes());
        Ok(())
    }
}

/// Text that was made when the entry was.
impl Source for String {
    fn show(&self, text: &mut Text) -> Result<()> {
        text.bytes(self.as_bytes());
        Ok(())
    }
}

impl Inode for Directory {
    fn metadata(&self) -> Metadata {
        let owner = self.listing.as_ref().map_or((0, 0), |listing| listing.owner());
        // One link says that nobody counts subdirectories.
        self.face.metadata(owner, 1, 0)
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        refuse_change(change)
    }

    fn must_revalidate(&self) -> bool {
        true
    }

    fn revalidate(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let stays = core::str::from_utf8(name).ok().and_then(|name| self.entries.lock().get(name).cloned());
        match (stays, &self.listing) {
            (Some(inode), _) => Arc::ptr_eq(&inode, child),
            (None, Some(listing)) => listing.is_current(name, child),
            (None, None) => false,
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let stays = core::str::from_utf8(name).ok().and_then(|name| self.entries.lock().get(name).cloned());
        match (stays, &self.listing) {
            (Some(inode), _) => Ok(inode),
            (None, Some(listing)) => listing.find(name),
            (None, None) => Err(Errno::ENOENT.into()),
        }
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let ino = self.face.ino;
        for (at, name) in [(0, &b"."[..]), (1, b"..")] {
            let entry = DirEntry { name, ino, file_type: FileType::Directory, next: at + 1 };
            if from <= at && !emit(entry) {
                return Ok(());
            }
        }
        if from < LISTING_START {
            // Emitting copies to user space, which no spin lock may be held for.
            let entries: Vec<_> =
                self.entries.lock().iter().map(|(name, inode)| (name.clone(), inode.clone())).collect();
            let skipped = usize::try_from(from.saturating_sub(2)).unwrap_or(usize::MAX);
            for (at, (name, inode)) in entries.iter().enumerate().skip(skipped) {
                let Metadata { ino, file_type, .. } = inode.metadata();
                let next = at as u64 + 3;
                if !emit(DirEntry { name: name.as_bytes(), ino, file_type, next }) {
                    return Ok(());
                }
            }
        }
        let Some(listing) = &self.listing else { return Ok(()) };
        listing.list(from.saturating_sub(LISTING_START), &mut |name, ino, file_type, next| {
            emit(DirEntry { name, ino, file_type, next: LISTING_START + next })
        })
    }
}
