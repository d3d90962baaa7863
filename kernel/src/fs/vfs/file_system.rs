//! File system drivers by name, and their instances.

use super::dentry::Dentry;
use super::inode::Inode;
use super::lookup::LookupStart;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use crate::process::namespace::user::UserNamespace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use ostd::sync::{Mutex, SpinLock};

/// A driver: makes [`SuperBlock`]s.
pub trait FileSystem: Send + Sync + core::fmt::Debug {
    /// As mount(2) and /proc/filesystems name it.
    fn name(&self) -> &'static str;

    /// Whether it needs a block device (/proc/filesystems says `nodev` otherwise).
    fn needs_device(&self) -> bool {
        false
    }

    /// Whether it can be mounted in a user namespace (FS_USERNS_MOUNT): it gives nothing but what its mounter has anyway.
    fn is_for_all(&self) -> bool {
        false
    }

    /// Whether it shows the same to all who mount it (procfs, sysfs): what others have hidden of it stays hidden.
    fn shows_the_machine(&self) -> bool {
        false
    }

    /// Whether only the kernel mounts it (pipefs).
    fn is_internal(&self) -> bool {
        false
    }

    /// A new instance, or the one there is (devtmpfs, sysfs).
    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>>;
}

impl dyn FileSystem {
    /// Whether `mounter` may make instances at all.
    ///
    /// # Errors
    /// EPERM.
    pub fn check_mounter(&self, mounter: &Credentials) -> Result<()> {
        let may = if self.is_for_all() {
            mounter.has_own(Capability::SysAdmin)
        } else {
            mounter.has(Capability::SysAdmin)
        };
        if may { Ok(()) } else { Err(Errno::EPERM.into()) }
    }
}

/// What mount(2) says to a driver.
#[derive(Debug)]
pub struct MountRequest<'a> {
    /// The data string: comma-separated options.
    pub options: &'a [u8],
    /// MS_RDONLY.
    pub read_only: bool,
    /// For paths in options.
    pub start: &'a LookupStart,
}

impl<'a> MountRequest<'a> {
    /// The options as key and, after '=', value. Empty ones are left out.
    pub fn options(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.options.split(|&byte| byte == b',').filter(|option| !option.is_empty()).map(
            |option| match option.iter().position(|&byte| byte == b'=') {
                Some(at) => (&option[..at], Some(&option[at + 1..])),
                None => (option, None),
            },
        )
    }
}

/// What statfs(2) says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Total blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// Total inodes.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// Block size in bytes.
    pub block_size: u32,
}

/// What an instance does as a whole.
pub trait SuperBlockOps: Send + Sync + core::fmt::Debug {
    /// For statfs(2).
    fn statistics(&self) -> Statistics {
        Statistics { block_size: 4096, ..Statistics::default() }
    }

    /// Writes everything back.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Options for /proc/mounts, with a leading comma each (`,size=1024k`).
    fn show_options(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// mount(2) with MS_REMOUNT.
    fn remount(&self, request: &MountRequest<'_>) -> Result<()> {
        let _ = request;
        Ok(())
    }

    /// The last mount is gone and nothing is open: circles among inodes can be cut.
    fn released(&self) {}
}

/// One instance of a file system.
#[derive(Debug)]
pub struct SuperBlock {
    driver: &'static str,
    magic: u32,
    device: u64,
    root: Arc<Dentry>,
    ops: Arc<dyn SuperBlockOps>,
    owner: Arc<UserNamespace>,
    is_read_only: AtomicBool,
    /// Objects without a place in a tree: pipes, sockets, anonymous inodes.
    is_pseudo: bool,
    mounts: AtomicUsize,
    rename: Mutex<()>,
}

static DRIVERS: SpinLock<Vec<&'static dyn FileSystem>> = SpinLock::new(Vec::new());
static NEXT_MINOR: AtomicU32 = AtomicU32::new(1);

/// Registers a driver.
pub fn register(driver: &'static dyn FileSystem) {
    DRIVERS.lock().push(driver);
}

/// The driver of that name; ENODEV.
pub fn find(name: &[u8]) -> Result<&'static dyn FileSystem> {
    DRIVERS
        .lock()
        .iter()
        .find(|driver| driver.name().as_bytes() == name && !driver.is_internal())
        .copied()
        .ok_or(Errno::ENODEV.into())
}

/// All drivers, for /proc/filesystems.
pub fn drivers() -> Vec<&'static dyn FileSystem> {
    DRIVERS.lock().clone()
}

/// A device number for a file system without a device: major 0, each minor once.
pub fn allocate_device() -> u64 {
    device_number(0, NEXT_MINOR.fetch_add(1, Ordering::Relaxed))
}

/// A `dev_t` as stat(2) shows it (glibc's encoding).
pub const fn device_number(major: u32, minor: u32) -> u64 {
    (minor as u64 & 0xff)
        | ((major as u64 & 0xfff) << 8)
        | ((minor as u64 & !0xff) << 12)
        | ((major as u64 & !0xfff) << 32)
}

/// Major and minor of a `dev_t`.
pub const fn split_device(device: u64) -> (u32, u32) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (major as u32, minor as u32)
}

impl SuperBlock {
    /// An instance. `device` is what its inodes say in `Metadata::dev`.
    pub fn new(
        driver: &'static str,
        magic: u32,
        device: u64,
        root: Arc<dyn Inode>,
        ops: Arc<dyn SuperBlockOps>,
    ) -> Arc<Self> {
        Self::build(driver, magic, device, root, ops, false)
    }

    /// The instance behind objects without a place in a tree.
    pub fn new_pseudo(
        driver: &'static str,
        magic: u32,
        device: u64,
        root: Arc<dyn Inode>,
        ops: Arc<dyn SuperBlockOps>,
    ) -> Arc<Self> {
        Self::build(driver, magic, device, root, ops, true)
    }

    fn build(
        driver: &'static str,
        magic: u32,
        device: u64,
        root: Arc<dyn Inode>,
        ops: Arc<dyn SuperBlockOps>,
        is_pseudo: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            driver,
            magic,
            device,
            root: Dentry::new_root(root, b"/"),
            ops,
            owner: if is_pseudo { UserNamespace::initial().clone() } else { UserNamespace::of_caller() },
            is_read_only: AtomicBool::new(false),
            is_pseudo,
            mounts: AtomicUsize::new(0),
            rename: Mutex::new(()),
        })
    }

    /// The driver's name.
    pub fn driver(&self) -> &'static str {
        self.driver
    }

    /// `f_type` of statfs(2).
    pub fn magic(&self) -> u32 {
        self.magic
    }

    /// Device number.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The root directory.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The user namespace that it was mounted in: it says nothing about users of others, and has no device files for them.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Whether its device files are devices: not in one that a user namespace's owner could fill as it likes. Terminals are not its to make.
    pub fn has_devices(&self) -> bool {
        self.owner.is_initial() || self.driver == "devpts"
    }

    /// What it does as a whole.
    pub fn ops(&self) -> &Arc<dyn SuperBlockOps> {
        &self.ops
    }

    /// Whether its objects have no place in a tree.
    pub fn is_pseudo(&self) -> bool {
        self.is_pseudo
    }

    /// Whether the instance as a whole is read-only.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only.load(Ordering::Relaxed)
    }

    /// Makes the instance read-only or writable.
    pub fn set_read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
    }

    /// Held while directories move, so that who is below whom stays as it is.
    pub fn rename_lock(&self) -> &Mutex<()> {
        &self.rename
    }

    pub(super) fn mount_added(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    /// The last mount (and with it every open file) is gone: names go with it.
    pub(super) fn mount_removed(&self) {
        if self.mounts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.root.forget_tree();
            let _ = self.ops.sync();
        }
    }
}

impl Drop for SuperBlock {
    fn drop(&mut self) {
        self.root.forget_tree();
        self.ops.released();
    }
}
