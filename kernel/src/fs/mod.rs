//! Files: the VFS, file systems, open files and descriptor tables.

pub mod cgroupfs;
pub mod configfs;
pub mod devpts;
pub mod devtmpfs;
pub mod fd_table;
pub mod initramfs;
pub mod memfd;
pub mod mqueue;
pub mod open_file;
pub mod overlay;
pub mod pipe;
pub mod proc;
pub mod pseudo;
pub mod synthetic;
pub mod sysfs;
pub mod tmpfs;
pub mod vfs;

use crate::error::Result;
use alloc::sync::Arc;
use vfs::mount_ns::MountNs;

/// Registers devices and file systems and makes the first mount namespace from the initramfs.
///
/// # Errors
/// The initramfs was refused, or memory is short.
pub fn init() -> Result<Arc<MountNs>> {
    crate::device::mem::register()?;
    tmpfs::register();
    overlay::register();
    devtmpfs::register();
    devpts::register();
    mqueue::register();
    proc::register();
    sysfs::register();
    cgroupfs::register();
    configfs::register();
    crate::mm::reclaim::register_shrinker(vfs::dentry_cache::shrink);
    initramfs::mount_root(ostd::boot::info().initramfs)
}
