//! An object of tmpfs: file, directory, link or node, with its attributes.

use super::directory::{Entries, FIRST_POSITION};
use super::regular::Regular;
use super::{Tmpfs, parent_links};
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::{
    Access, Attributes, DirEntry, FileType, Inode, Metadata, NewInode, Renaming, Timestamp,
};
use crate::fs::vfs::xattr::XattrMap;
use crate::mm::page_cache::PageCache;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};
use ostd::sync::SpinLock;

/// Entries copied out of a directory at a time.
const READ_DIR_BATCH: usize = 32;
/// What an entry adds to a directory's size, as Linux's tmpfs counts.
const ENTRY_SIZE: u64 = 20;

/// An object.
#[derive(Debug)]
pub struct TmpfsInode {
    fs: Arc<Tmpfs>,
    ino: u64,
    file_type: FileType,
    attributes: SpinLock<OwnAttributes>,
    xattrs: XattrMap,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
struct OwnAttributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    links: u32,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

#[derive(Debug)]
enum Body {
    Regular(Regular),
    Directory {
        entries: SpinLock<Entries>,
        /// The inode number of "..".
        parent: AtomicU64,
    },
    Symlink(Box<[u8]>),
    Node(u64),
}

impl TmpfsInode {
    /// A directory; without a parent its own (a root).
    pub fn new_directory(
        fs: &Arc<Tmpfs>,
        permissions: u32,
        owner: (u32, u32),
        parent: Option<u64>,
    ) -> Arc<Self> {
        let body = Body::Directory { entries: SpinLock::new(Entries::new()), parent: AtomicU64::new(0) };
        let new = Self::new(fs, FileType::Directory, permissions, owner, 2, body);
        if let Body::Directory { parent: own, .. } = &new.body {
            own.store(parent.unwrap_or(new.ino), Ordering::Relaxed);
        }
        new
    }

    /// An empty regular file.
    pub fn new_regular(fs: &Arc<Tmpfs>, permissions: u32, owner: (u32, u32), links: u32) -> Arc<Self> {
        Self::new(fs, FileType::Regular, permissions, owner, links, Body::Regular(Regular::new()))
    }

    fn new(
        fs: &Arc<Tmpfs>,
        file_type: FileType,
        permissions: u32,
        (uid, gid): (u32, u32),
        links: u32,
        body: Body,
    ) -> Arc<Self> {
        fs.inodes_used.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::now();
        let attributes =
            OwnAttributes { permissions, uid, gid, links, accessed: now, modified: now, changed: now };
        Arc::new(Self {
            fs: fs.clone(),
            ino: fs.next_inode.fetch_add(1, Ordering::Relaxed),
            file_type,
            attributes: SpinLock::new(attributes),
            xattrs: XattrMap::new(),
            body,
        })
    }

    /// Takes all entries out of a directory that nobody can reach any more.
    pub fn take_directories(&self, pending: &mut Vec<Arc<Self>>) {
        if let Body::Directory { entries, .. } = &self.body {
            let all = entries.lock().take_all();
            pending.extend(all.filter(|inode| matches!(inode.body, Body::Directory { .. })));
        }
    }

    fn entries(&self) -> Result<&SpinLock<Entries>> {
        match &self.body {
            Body::Directory { entries, .. } => Ok(entries),
            _ => Err(Errno::ENOTDIR.into()),
        }
    }

    fn regular(&self) -> Result<&Regular> {
        match &self.body {
            Body::Regular(regular) => Ok(regular),
            Body::Directory { .. } => Err(Errno::EISDIR.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn change_links(&self, by: i32) {
        let mut attributes = self.attributes.lock();
        attributes.links = attributes.links.saturating_add_signed(by);
        attributes.changed = Timestamp::now();
    }

    /// The directory's contents changed, and its links by subdirectories that came or went.
    fn entries_changed(&self, links: i32) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.links = attributes.links.saturating_add_signed(links);
        attributes.modified = now;
        attributes.changed = now;
    }

    fn note_written(&self) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    fn write(&self, offset: Option<u64>, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        let (written, end) = self.regular()?.write(&self.fs, offset, reader)?;
        if written > 0 {
            self.note_written();
        }
        Ok((written, end))
    }

    fn as_own(inode: &Arc<dyn Inode>) -> Result<Arc<Self>> {
        let any: Arc<dyn Any + Send + Sync> = inode.clone();
        any.downcast().map_err(|_| Errno::EXDEV.into())
    }

    fn set_parent(&self, ino: u64) {
        if let Body::Directory { parent, .. } = &self.body {
            parent.store(ino, Ordering::Relaxed);
        }
    }

    fn check_empty(&self) -> Result<()> {
        if self.entries()?.lock().is_empty() { Ok(()) } else { Err(Errno::ENOTEMPTY.into()) }
    }

    /// A name of this object was removed; an empty directory's "." goes with it.
    fn name_removed(&self) {
        self.change_links(if self.file_type == FileType::Directory { -2 } else { -1 });
    }
}

impl Drop for TmpfsInode {
    fn drop(&mut self) {
        self.fs.inodes_used.fetch_sub(1, Ordering::Relaxed);
        if let Body::Regular(regular) = &mut self.body {
            regular.release(&self.fs);
        }
    }
}

impl Inode for TmpfsInode {
    fn metadata(&self) -> Metadata {
        let attributes = *self.attributes.lock();
        let (size, blocks, rdev) = match &self.body {
            Body::Regular(regular) => (regular.size(), regular.blocks(), 0),
            Body::Directory { entries, .. } => (entries.lock().len() as u64 * ENTRY_SIZE, 0, 0),
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::Node(device) => (0, 0, *device),
        };
        Metadata {
            dev: self.fs.device,
            ino: self.ino,
            file_type: self.file_type,
            permissions: attributes.permissions,
            links: attributes.links,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev,
            size,
            blocks,
            block_size: PAGE_SIZE as u32,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
        }
    }

    fn access(&self) -> Access {
        let attributes = self.attributes.lock();
        Access {
            file_type: self.file_type,
            permissions: attributes.permissions,
            uid: attributes.uid,
            gid: attributes.gid,
        }
    }

    fn size(&self) -> u64 {
        match &self.body {
            Body::Regular(regular) => regular.size(),
            _ => self.metadata().size,
        }
    }

    fn touch_accessed(&self) {
        let now = Timestamp::now();
        self.attributes.lock().touch(now);
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        if let Some(size) = change.size {
            self.regular()?.set_size(&self.fs, size)?;
        }
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        let own = &mut *attributes;
        own.permissions = change.permissions.unwrap_or(own.permissions);
        own.uid = change.uid.unwrap_or(own.uid);
        own.gid = change.gid.unwrap_or(own.gid);
        own.accessed = change.accessed.unwrap_or(own.accessed);
        own.modified = change.modified.unwrap_or(if change.size.is_some() { now } else { own.modified });
        own.changed = now;
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let entries = self.entries()?.lock();
        let found: Arc<dyn Inode> = entries.get(name).ok_or(Errno::ENOENT)?.clone();
        Ok(found)
    }

    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        let entries = self.entries()?;
        self.fs.check_inode()?;
        let new = match what {
            NewInode::Regular => Self::new_regular(&self.fs, permissions, owner, 1),
            NewInode::Directory => Self::new_directory(&self.fs, permissions, owner, Some(self.ino)),
            NewInode::Symlink(target) => {
                let body = Body::Symlink(Box::from(target));
                Self::new(&self.fs, FileType::Symlink, 0o777, owner, 1, body)
            }
            NewInode::Node(file_type, device) => {
                Self::new(&self.fs, file_type, permissions, owner, 1, Body::Node(device))
            }
        };
        entries.lock().put(name, new.clone());
        self.entries_changed(parent_links(new.file_type) as i32);
        Ok(new)
    }

    fn create_unnamed(&self, permissions: u32, owner: (u32, u32)) -> Result<Arc<dyn Inode>> {
        self.entries()?;
        self.fs.check_inode()?;
        Ok(Self::new_regular(&self.fs, permissions, owner, 0))
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let target = Self::as_own(target)?;
        target.change_links(1);
        self.entries()?.lock().put(name, target);
        self.entries_changed(0);
        Ok(())
    }

    fn unlink(&self, name: &[u8], _victim: &Arc<dyn Inode>) -> Result<()> {
        let gone = self.entries()?.lock().take(name).ok_or(Errno::ENOENT)?;
        gone.name_removed();
        self.entries_changed(0);
        Ok(())
    }

    fn rmdir(&self, name: &[u8], _victim: &Arc<dyn Inode>) -> Result<()> {
        let victim = self.entries()?.lock().get(name).ok_or(Errno::ENOENT)?.clone();
        victim.check_empty()?;
        self.entries()?.lock().take(name);
        victim.name_removed();
        self.entries_changed(-1);
        Ok(())
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        let Renaming { name, new_name, exchange, .. } = *renaming;
        let new_parent = Self::as_own(renaming.new_parent)?;
        let moving = self.entries()?.lock().get(name).ok_or(Errno::ENOENT)?.clone();
        let target = new_parent.entries()?.lock().get(new_name).cloned();
        if exchange {
            let target = target.ok_or(Errno::ENOENT)?;
            self.entries()?.lock().put(name, target.clone());
            new_parent.entries()?.lock().put(new_name, moving.clone());
            target.set_parent(self.ino);
            moving.set_parent(new_parent.ino);
            let moved = parent_links(moving.file_type) as i32 - parent_links(target.file_type) as i32;
            self.entries_changed(-moved);
            new_parent.entries_changed(moved);
            target.change_links(0);
            moving.change_links(0);
            return Ok(());
        }
        if let Some(target) = &target
            && target.file_type == FileType::Directory
        {
            target.check_empty()?;
        }
        self.entries()?.lock().take(name);
        new_parent.entries()?.lock().put(new_name, moving.clone());
        moving.set_parent(new_parent.ino);
        let links = parent_links(moving.file_type) as i32;
        let replaced = target.as_ref().map_or(0, |target| parent_links(target.file_type) as i32);
        self.entries_changed(-links);
        new_parent.entries_changed(links - replaced);
        moving.change_links(0);
        if let Some(target) = target {
            target.name_removed();
        }
        Ok(())
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let Body::Directory { entries, parent } = &self.body else { return Err(Errno::ENOTDIR.into()) };
        let dots: [(&[u8], u64); 2] = [(b".", self.ino), (b"..", parent.load(Ordering::Relaxed))];
        for (position, (name, ino)) in dots.into_iter().enumerate().skip(from.min(2) as usize) {
            let next = position as u64 + 1;
            if !emit(DirEntry { name, ino, file_type: FileType::Directory, next }) {
                return Ok(());
            }
        }
        let mut position = from.max(FIRST_POSITION);
        loop {
            // `emit` may sleep (it writes to user memory): not under the lock.
            let batch = entries.lock().batch(position, READ_DIR_BATCH);
            let Some((last, _)) = batch.last() else { return Ok(()) };
            let after = last + 1;
            for (at, entry) in &batch {
                let inode = &entry.inode;
                let emitted =
                    DirEntry { name: &entry.name, ino: inode.ino, file_type: inode.file_type, next: at + 1 };
                if !emit(emitted) {
                    return Ok(());
                }
            }
            position = after;
        }
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match &self.body {
            Body::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn seek_data(&self, from: u64, hole: bool) -> Result<u64> {
        self.regular()?.seek_data(from, hole)
    }

    fn read_at(&self, offset: u64, writer: &mut VmWriter<'_>) -> Result<usize> {
        self.regular()?.read_at(offset, writer)
    }

    fn write_at(&self, offset: u64, reader: &mut VmReader<'_>) -> Result<usize> {
        self.write(Some(offset), reader).map(|(written, _)| written)
    }

    fn append(&self, reader: &mut VmReader<'_>) -> Result<(usize, u64)> {
        self.write(None, reader)
    }

    fn page_cache(&self) -> Option<&PageCache> {
        self.regular().ok().map(Regular::cache)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        self.regular()?.allocate(&self.fs, mode, offset, len)?;
        self.note_written();
        Ok(())
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattrs.get(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        self.xattrs.set(name, value, flags)?;
        self.change_links(0);
        Ok(())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.xattrs.remove(name)?;
        self.change_links(0);
        Ok(())
    }

    fn list_xattrs(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.xattrs.names())
    }
}

impl OwnAttributes {
    /// relatime: the access time moves only past a change, or once a day.
    fn touch(&mut self, now: Timestamp) {
        let is_stale = self.accessed <= self.modified
            || self.accessed <= self.changed
            || now.seconds - self.accessed.seconds >= 24 * 60 * 60;
        if is_stale {
            self.accessed = now;
        }
    }
}
