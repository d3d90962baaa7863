//! configfs (Linux's Documentation/filesystems/configfs.rst), for the one thing that programs configure by it here: requests for attestation reports
//! (`tsm/report`, [`report`]). All mounts show the same tree. It exists in trust domains only.

mod report;

use super::synthetic::{Directory, Volume};
use super::vfs::file_system::{self, FileSystem, MountRequest, SuperBlock, SuperBlockOps, allocate_device};
use crate::error::Result;
use alloc::sync::Arc;
use ostd::sync::Lazy;

/// CONFIGFS_MAGIC (Linux's include/uapi/linux/magic.h).
const MAGIC: u32 = 0x6265_6570;

#[derive(Debug)]
struct Driver;

#[derive(Debug)]
struct Ops;

static TREE: Lazy<Arc<SuperBlock>> = Lazy::new(|| {
    let volume = Arc::new(Volume::new(allocate_device()));
    let root = Directory::new(&volume);
    root.subdirectory("tsm").add("report", report::Reports::new(&volume));
    SuperBlock::new("configfs", MAGIC, volume.device(), root, Arc::new(Ops))
});

/// Registers the file system where there is something to configure.
pub fn register() {
    if ostd::tdx::is_active() {
        file_system::register(&Driver);
    }
}

impl SuperBlockOps for Ops {}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "configfs"
    }

    fn mount(&self, _: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        Ok(TREE.clone())
    }
}
