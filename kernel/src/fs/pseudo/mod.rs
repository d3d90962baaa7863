//! Places for objects that have none in a tree: pipes, sockets, eventfd and their like.

pub mod namespace;

use super::vfs::dentry::Dentry;
use super::vfs::file_system::{SuperBlock, SuperBlockOps, allocate_device};
use super::vfs::inode::{Attributes, FileType, Inode, Metadata, Timestamp};
use super::vfs::mount::{Mount, MountFlags};
use super::vfs::place::Path;
use crate::error::Result;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::{Lazy, SpinLock};

/// Magic of anon_inodefs (statfs(2)).
const ANON_INODE_FS_MAGIC: u32 = 0x0904_1934;

static MOUNT: Lazy<Arc<Mount>> = Lazy::new(|| {
    let device = allocate_device();
    let root = PseudoInode::new(device, FileType::Directory, 0o555, (0, 0));
    let super_block =
        SuperBlock::new_pseudo("anon_inodefs", ANON_INODE_FS_MAGIC, device, root, Arc::new(Nothing));
    let root = super_block.root().clone();
    Mount::new(super_block, root, b"anon_inodefs", MountFlags::empty())
});
static NEXT_INODE: AtomicU64 = AtomicU64::new(1);

/// A place named `name` as readlink of /proc/PID/fd/N shows it (`anon_inode:[eventpoll]`), with an inode of its own of no type that stat(2) would
/// call regular.
pub fn anonymous_path(name: &str) -> Path {
    new_path(FileType::Regular, 0o600, (0, 0), |_| alloc::string::String::from(name))
}

/// A place for a pipe or socket: its name is made from its inode number (`pipe:[7]`).
pub fn new_path(
    file_type: FileType,
    permissions: u32,
    owner: (u32, u32),
    name: impl FnOnce(u64) -> alloc::string::String,
) -> Path {
    let mount = MOUNT.clone();
    let inode = PseudoInode::new(mount.super_block().device(), file_type, permissions, owner);
    let name = name(inode.ino);
    Path { dentry: Dentry::new_root(inode, name.as_bytes()), mount }
}

/// A place whose inode the caller provides (memfd: a tmpfs file; nsfs).
pub fn path_of(inode: Arc<dyn Inode>, name: &str) -> Path {
    Path { dentry: Dentry::new_root(inode, name.as_bytes()), mount: MOUNT.clone() }
}

/// Whether `path` is such a place.
pub fn contains(path: &Path) -> bool {
    Arc::ptr_eq(&path.mount, &MOUNT)
}

/// The device number that all of them have.
fn device() -> u64 {
    MOUNT.super_block().device()
}

#[derive(Debug)]
struct Nothing;

impl SuperBlockOps for Nothing {}

/// An inode with attributes and nothing else.
#[derive(Debug)]
struct PseudoInode {
    device: u64,
    ino: u64,
    file_type: FileType,
    attributes: SpinLock<PseudoAttributes>,
}

#[derive(Debug)]
struct PseudoAttributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

impl PseudoInode {
    fn new(device: u64, file_type: FileType, permissions: u32, (uid, gid): (u32, u32)) -> Arc<Self> {
        let now = Timestamp::now();
        let times = PseudoAttributes { permissions, uid, gid, accessed: now, modified: now, changed: now };
        Arc::new(Self {
            device,
            ino: NEXT_INODE.fetch_add(1, Ordering::Relaxed),
            file_type,
            attributes: SpinLock::new(times),
        })
    }
}

impl Inode for PseudoInode {
    fn metadata(&self) -> Metadata {
        let attributes = self.attributes.lock();
        Metadata {
            dev: self.device,
            ino: self.ino,
            file_type: self.file_type,
            permissions: attributes.permissions,
            links: 1,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: 0,
            size: 0,
            blocks: 0,
            block_size: 4096,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
        }
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let mut attributes = self.attributes.lock();
        let now = Timestamp::now();
        let old = &mut *attributes;
        old.permissions = change.permissions.unwrap_or(old.permissions);
        old.uid = change.uid.unwrap_or(old.uid);
        old.gid = change.gid.unwrap_or(old.gid);
        old.accessed = change.accessed.unwrap_or(old.accessed);
        old.modified = change.modified.unwrap_or(old.modified);
        old.changed = now;
        Ok(())
    }
}
