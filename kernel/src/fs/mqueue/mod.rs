//! mqueue: the names of POSIX message queues (mq_overview(7)). Each IPC namespace has one instance, which every mount in it shows.

mod directory;
mod node;

use super::synthetic::Volume;
use super::vfs::file_system::{
    self, FileSystem, MountRequest, Statistics, SuperBlock, SuperBlockOps, allocate_device,
};
use super::vfs::mount::{Mount, MountFlags};
use super::vfs::place::Path;
use crate::error::{Errno, Result};
use crate::ipc::mq::Queue;
use crate::process::Process;
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::sync::Once;

use directory::Root;
pub use node::of;

/// Magic of mqueue (statfs(2)).
const MQUEUE_MAGIC: u32 = 0x1980_0202;

#[derive(Debug)]
struct Driver;

/// What an IPC namespace has; made on first use.
#[derive(Debug, Default)]
pub struct Instance(Once<Tree>);

#[derive(Debug)]
struct Tree {
    root: Arc<Root>,
    /// The kernel's own mount, by which mq_open(3) finds names.
    mount: Arc<Mount>,
}

/// Registers the file system.
pub fn register() {
    file_system::register(&Driver);
}

impl Instance {
    /// The directory of its names.
    pub fn root(&self) -> Path {
        Path::root_of(self.tree().mount.clone())
    }

    /// Names a queue.
    ///
    /// # Errors
    /// EEXIST, ENOSPC for too many queues, ENAMETOOLONG.
    pub fn add(&self, name: &[u8], queue: Arc<Queue>, permissions: u32, maker: &Process) -> Result<()> {
        self.tree().root.add(name, queue, permissions, &maker.credentials()).map(drop)
    }

    fn tree(&self) -> &Tree {
        self.0.call_once(|| {
            let root = Root::new(Volume::new(allocate_device()));
            let super_block =
                SuperBlock::new("mqueue", MQUEUE_MAGIC, root.device(), root.clone(), Arc::new(Ops));
            let dentry = super_block.root().clone();
            Tree { root, mount: Mount::new(super_block, dentry, b"mqueue", MountFlags::empty()) }
        })
    }
}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "mqueue"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        if request.options().next().is_some() {
            return Err(Errno::EINVAL.into());
        }
        let thread = Thread::current().ok_or(Errno::EINVAL)?;
        Ok(thread.namespaces()?.ipc.mqueue.tree().mount.super_block().clone())
    }
}

#[derive(Debug)]
struct Ops;

impl SuperBlockOps for Ops {
    fn statistics(&self) -> Statistics {
        Statistics { block_size: 4096, ..Statistics::default() }
    }
}
