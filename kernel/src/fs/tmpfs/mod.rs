//! tmpfs: a file system whose files are their page cache (tmpfs(5)). It serves also as the root at boot, as ramfs and under devtmpfs.
//!
//! [`inode`] is every object, [`directory`] the entries of one, [`regular`] the contents of another; limits and counts are here.

mod directory;
mod inode;
mod options;
mod regular;

pub use inode::TmpfsInode;

use super::vfs::file_system::{
    self, FileSystem, MountRequest, Statistics, SuperBlock, SuperBlockOps, allocate_device,
};
use super::vfs::inode::{FileType, Inode};
use crate::error::{Errno, Error, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use options::Options;
use ostd::mm::PAGE_SIZE;
use ostd::sync::Lazy;

const TMPFS_MAGIC: u32 = 0x0102_1994;
const RAMFS_MAGIC: u32 = 0x8584_58f6;

/// One instance: counts and limits.
#[derive(Debug)]
pub struct Tmpfs {
    device: u64,
    next_inode: AtomicU64,
    pages_used: AtomicUsize,
    inodes_used: AtomicUsize,
    pages_max: AtomicUsize,
    inodes_max: AtomicUsize,
}

#[derive(Debug)]
struct Ops {
    fs: Arc<Tmpfs>,
    root: Arc<TmpfsInode>,
    is_limited: bool,
}

#[derive(Debug)]
struct Driver {
    name: &'static str,
    /// Has a size limit.
    is_limited: bool,
}

/// Registers tmpfs and ramfs.
pub fn register() {
    file_system::register(&Driver { name: "tmpfs", is_limited: true });
    file_system::register(&Driver { name: "ramfs", is_limited: false });
}

/// A new instance without limits, for the kernel's own use (root at boot, devtmpfs); its root has permissions 0755.
pub fn new_unlimited(driver: &'static str) -> Arc<SuperBlock> {
    let magic = if driver == "ramfs" { RAMFS_MAGIC } else { TMPFS_MAGIC };
    build(driver, magic, &Options { permissions: 0o755, ..Options::default() }, false)
}

/// A file without a name on an instance that nobody mounts: what memfd_create(2) and shared anonymous memory stand on.
pub fn new_unnamed_file(permissions: u32, owner: (u32, u32)) -> Arc<dyn Inode> {
    static HIDDEN: Lazy<Arc<Tmpfs>> = Lazy::new(|| Tmpfs::new(&Options::default()));
    TmpfsInode::new_regular(&HIDDEN, permissions, owner, 0)
}

fn build(driver: &'static str, magic: u32, options: &Options, is_limited: bool) -> Arc<SuperBlock> {
    let fs = Tmpfs::new(options);
    let root = TmpfsInode::new_directory(&fs, options.permissions, (options.uid, options.gid), None);
    let device = fs.device;
    let ops = Ops { fs, root: root.clone(), is_limited };
    SuperBlock::new(driver, magic, device, root, Arc::new(ops))
}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        let defaults = if self.is_limited { Options::limited() } else { Options::default() };
        let own = &request.start.credentials;
        let defaults = Options { uid: own.fsuid(), gid: own.fsgid(), ..defaults };
        let options = Options::parse(request.options(), defaults, &request.start.credentials)?;
        let magic = if self.is_limited { TMPFS_MAGIC } else { RAMFS_MAGIC };
        Ok(build(self.name, magic, &options, self.is_limited))
    }
}

impl SuperBlockOps for Ops {
    fn statistics(&self) -> Statistics {
        let fs = &self.fs;
        let limit = |max: usize, used: usize| match max {
            // Without a limit tmpfs says 0.
            usize::MAX => (0, 0),
            max => (max as u64, max.saturating_sub(used) as u64),
        };
        let (blocks, free_blocks) =
            limit(fs.pages_max.load(Ordering::Relaxed), fs.pages_used.load(Ordering::Relaxed));
        let (inodes, free_inodes) =
            limit(fs.inodes_max.load(Ordering::Relaxed), fs.inodes_used.load(Ordering::Relaxed));
        Statistics { blocks, free_blocks, inodes, free_inodes, block_size: PAGE_SIZE as u32 }
    }

    fn show_options(&self, out: &mut Vec<u8>) {
        if !self.is_limited {
            return;
        }
        let pages = self.fs.pages_max.load(Ordering::Relaxed);
        if pages != usize::MAX {
            out.extend_from_slice(alloc::format!(",size={}k", pages * (PAGE_SIZE / 1024)).as_bytes());
        }
        let inodes = self.fs.inodes_max.load(Ordering::Relaxed);
        if inodes != usize::MAX {
            out.extend_from_slice(alloc::format!(",nr_inodes={inodes}").as_bytes());
        }
        let permissions = self.root.access().permissions;
        if permissions != 0o1777 {
            out.extend_from_slice(alloc::format!(",mode={permissions:o}").as_bytes());
        }
    }

    fn remount(&self, request: &MountRequest<'_>) -> Result<()> {
        let current = Options {
            pages: self.fs.pages_max.load(Ordering::Relaxed),
            inodes: self.fs.inodes_max.load(Ordering::Relaxed),
            ..Options::default()
        };
        let options = Options::parse(request.options(), current, &request.start.credentials)?;
        if options.pages < self.fs.pages_used.load(Ordering::Relaxed)
            || options.inodes < self.fs.inodes_used.load(Ordering::Relaxed)
        {
            return Err(Error::with(Errno::EINVAL, "more is in use than the new limit allows"));
        }
        self.fs.pages_max.store(options.pages, Ordering::Relaxed);
        self.fs.inodes_max.store(options.inodes, Ordering::Relaxed);
        Ok(())
    }

    fn released(&self) {
        // Directories hold their entries: take the tree apart by a list, for its depth is the users' choice.
        let mut pending = Vec::new();
        self.root.take_directories(&mut pending);
        while let Some(inode) = pending.pop() {
            inode.take_directories(&mut pending);
        }
    }
}

impl Tmpfs {
    fn new(options: &Options) -> Arc<Self> {
        Arc::new(Self {
            device: allocate_device(),
            next_inode: AtomicU64::new(1),
            pages_used: AtomicUsize::new(0),
            inodes_used: AtomicUsize::new(0),
            pages_max: AtomicUsize::new(options.pages),
            inodes_max: AtomicUsize::new(options.inodes),
        })
    }

    fn check_inode(&self) -> Result<()> {
        if self.inodes_used.load(Ordering::Relaxed) >= self.inodes_max.load(Ordering::Relaxed) {
            return Err(Errno::ENOSPC.into());
        }
        Ok(())
    }

    /// How many more pages fit.
    fn free_pages(&self) -> usize {
        self.pages_max.load(Ordering::Relaxed).saturating_sub(self.pages_used.load(Ordering::Relaxed))
    }

    /// A file's pages went from `before` to `now`.
    fn pages_changed(&self, before: usize, now: usize) {
        if now > before {
            self.pages_used.fetch_add(now - before, Ordering::Relaxed);
        } else if before > now {
            self.pages_used.fetch_sub(before - now, Ordering::Relaxed);
        }
    }
}

/// What an entry of type `file_type` adds to the links of the directory that it is in.
fn parent_links(file_type: FileType) -> u32 {
    u32::from(file_type == FileType::Directory)
}
