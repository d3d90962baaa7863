//! [`Directory`]: a group.

use super::file::ControlFile;
use super::table::{self, ROWS, Row};
use crate::cgroup::{self, Cgroup, Face};
use crate::error::{Errno, Result};
use crate::fs::vfs::file_system::{SuperBlock, allocate_device};
use crate::fs::vfs::inode::{Access, Attributes, DirEntry, FileType, Inode, Metadata, NewInode, Timestamp};
use crate::fs::vfs::notify::{self, Happening};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::{Lazy, Mutex, SpinLock};

/// The directory of a group.
#[derive(Debug)]
pub struct Directory {
    this: Weak<Self>,
    cgroup: Arc<Cgroup>,
    stat: Stat,
    /// Its files, whether or not they are shown: watches stay with them.
    files: Vec<Arc<ControlFile>>,
    children: SpinLock<BTreeMap<Box<[u8]>, Arc<Self>>>,
    super_block: SpinLock<Weak<SuperBlock>>,
}

/// What stat(2) says, of which owner and permissions can be changed: that is how groups are given to others.
#[derive(Debug)]
pub struct Stat {
    ino: u64,
    file_type: FileType,
    owner: SpinLock<(u32, u32, u32)>,
    born: Timestamp,
}

struct Tree {
    device: u64,
    root: Arc<Directory>,
}

static TREE: Lazy<Tree> = Lazy::new(|| {
    let root = Directory::new(cgroup::root().clone(), 0o555, (0, 0));
    Tree { device: allocate_device(), root }
});

/// Held while directories come and go, in whichever mount.
static CHANGES: Mutex<()> = Mutex::new(());

impl Stat {
    /// A new object's.
    pub fn new(file_type: FileType, permissions: u32, (uid, gid): (u32, u32)) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            ino: NEXT.fetch_add(1, Ordering::Relaxed),
            file_type,
            owner: SpinLock::new((permissions, uid, gid)),
            born: Timestamp::now(),
        }
    }

    /// For stat(2).
    pub fn metadata(&self) -> Metadata {
        let (permissions, uid, gid) = *self.owner.lock();
        Metadata {
            dev: TREE.device,
            ino: self.ino,
            file_type: self.file_type,
            permissions,
            links: 1,
            uid,
            gid,
            rdev: 0,
            size: 0,
            blocks: 0,
            block_size: 4096,
            accessed: self.born,
            modified: self.born,
            changed: self.born,
        }
    }

    /// For permission checks.
    pub fn access(&self) -> Access {
        let (permissions, uid, gid) = *self.owner.lock();
        Access { file_type: self.file_type, permissions, uid, gid }
    }

    /// chmod(2), chown(2); open(2) with O_TRUNC asks for size 0, which files here always have.
    pub fn change(&self, change: &Attributes) {
        let mut owner = self.owner.lock();
        owner.0 = change.permissions.unwrap_or(owner.0);
        owner.1 = change.uid.unwrap_or(owner.1);
        owner.2 = change.gid.unwrap_or(owner.2);
    }
}

impl Directory {
    fn new(cgroup: Arc<Cgroup>, permissions: u32, owner: (u32, u32)) -> Arc<Self> {
        let new = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            stat: Stat::new(FileType::Directory, permissions, owner),
            files: ROWS.iter().map(|row| ControlFile::new(row, &cgroup, owner)).collect(),
            cgroup,
            children: SpinLock::default(),
            super_block: SpinLock::default(),
        });
        let face: Weak<dyn Face> = new.this.clone();
        new.cgroup.set_face(face);
        new
    }

    /// The directory of a group, from the root down.
    ///
    /// # Errors
    /// ENODEV if it was removed.
    pub fn of(cgroup: &Cgroup) -> Result<Arc<Self>> {
        let lineage: Vec<&Cgroup> = cgroup.lineage().collect();
        let mut at = TREE.root.clone();
        for group in lineage.iter().rev().skip(1) {
            let next = at.children.lock().get(group.name()).cloned();
            at = next.filter(|next| core::ptr::eq(&raw const *next.cgroup, *group)).ok_or(Errno::ENODEV)?;
        }
        Ok(at)
    }

    /// The group.
    ///
    /// # Errors
    /// ENODEV if it was removed.
    pub fn cgroup(&self) -> Result<Arc<Cgroup>> {
        if self.cgroup.is_removed() { Err(Errno::ENODEV.into()) } else { Ok(self.cgroup.clone()) }
    }

    /// The device number of all mounts.
    pub fn device(&self) -> u64 {
        TREE.device
    }

    /// The instance whose root this is, made by `make` if there is none.
    pub fn super_block(&self, make: impl FnOnce(Arc<Self>) -> Arc<SuperBlock>) -> Result<Arc<SuperBlock>> {
        let _changes = CHANGES.lock();
        if let Some(known) = self.super_block.lock().upgrade() {
            return Ok(known);
        }
        let new = make(self.this.upgrade().ok_or(Errno::ENODEV)?);
        *self.super_block.lock() = Arc::downgrade(&new);
        Ok(new)
    }

    /// Who may move processes here.
    pub fn procs_access(&self) -> Access {
        self.file(b"cgroup.procs").map_or_else(|| self.stat.access(), |file| file.access())
    }

    fn file(&self, name: &[u8]) -> Option<&Arc<ControlFile>> {
        self.files.iter().find(|file| file.row().name.as_bytes() == name)
    }

    fn shown(&self) -> impl Iterator<Item = &Arc<ControlFile>> {
        self.files.iter().filter(|file| self.shows(file.row()))
    }

    fn shows(&self, row: &Row) -> bool {
        table::is_shown(row, &self.cgroup) && !self.cgroup.is_removed()
    }
}

impl Face for Directory {
    fn changed(&self, name: &'static str) {
        if let Some(file) = self.file(name.as_bytes()) {
            let inode: Arc<dyn Inode> = file.clone();
            notify::report_inode(&inode, Happening::MODIFY);
        }
    }
}

impl Inode for Directory {
    fn metadata(&self) -> Metadata {
        let subdirectories = self.children.lock().len() as u32;
        Metadata { links: 2 + subdirectories, ..self.stat.metadata() }
    }

    fn access(&self) -> Access {
        self.stat.access()
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        self.stat.change(change);
        Ok(())
    }

    fn must_revalidate(&self) -> bool {
        true
    }

    fn revalidate(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        self.lookup(name).is_ok_and(|now| Arc::ptr_eq(&now, child))
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if let Some(child) = self.children.lock().get(name) {
            return Ok(child.clone());
        }
        let file = self.file(name).filter(|file| self.shows(file.row())).ok_or(Errno::ENOENT)?;
        Ok(file.clone())
    }

    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        match what {
            NewInode::Directory => {}
            NewInode::Regular => return Err(Errno::EACCES.into()),
            _ => return Err(Errno::EPERM.into()),
        }
        let _changes = CHANGES.lock();
        if self.file(name).is_some() {
            return Err(Errno::EEXIST.into());
        }
        let cgroup = self.cgroup.create(name)?;
        let new = Self::new(cgroup, permissions, owner);
        self.children.lock().insert(name.into(), new.clone());
        Ok(new)
    }

    fn rmdir(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        let _changes = CHANGES.lock();
        let known = self.children.lock().get(name).cloned().ok_or(Errno::ENOENT)?;
        let victim: &dyn Any = &**victim;
        if !victim.downcast_ref::<Self>().is_some_and(|victim| core::ptr::eq(victim, &raw const *known)) {
            return Err(Errno::ENOENT.into());
        }
        self.cgroup.remove(name)?;
        let gone = self.children.lock().remove(name);
        drop(gone);
        Ok(())
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        /// Where the positions of groups begin, which are numbered as their inodes; files come before.
        const GROUPS: u64 = 1 << 32;
        let dots = [&b"."[..], b".."].map(|name| (name, self.stat.ino, FileType::Directory));
        let files = self.shown().map(|file| (file.row().name.as_bytes(), file.ino(), FileType::Regular));
        for (at, (name, ino, file_type)) in (0..).zip(dots.into_iter().chain(files)) {
            if at >= from && !emit(DirEntry { name, ino, file_type, next: at + 1 }) {
                return Ok(());
            }
        }
        // Emitting copies to user space, which no spin lock may be held for.
        let mut groups: Vec<(u64, Box<[u8]>)> = Vec::new();
        let children = self.children.lock();
        groups.try_reserve_exact(children.len()).map_err(|_| Errno::ENOMEM)?;
        groups.extend(children.iter().map(|(name, child)| (child.stat.ino, name.clone())));
        drop(children);
        groups.sort_unstable();
        for (ino, name) in groups {
            let next = GROUPS + ino + 1;
            let entry = DirEntry { name: &name, ino, file_type: FileType::Directory, next };
            if next > from && !emit(entry) {
                break;
            }
        }
        Ok(())
    }
}
