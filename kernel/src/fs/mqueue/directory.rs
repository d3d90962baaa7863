//! The directory that queues are named in.

use super::node::Node;
use crate::error::{Errno, Result};
use crate::fs::synthetic::Volume;
use crate::fs::vfs::inode::{Attributes, DirEntry, FileType, Inode, Metadata, NewInode};
use crate::ipc::mq::{QUEUES_MAX, Queue};
use crate::process::credentials::{Capability, Credentials};
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// The longest name.
const NAME_MAX: usize = 255;
/// Sticky, and anybody may make and remove queues of their own.
const PERMISSIONS: u32 = 0o1777;

/// The only directory.
#[derive(Debug)]
pub struct Root {
    volume: Volume,
    metadata: Metadata,
    queues: SpinLock<BTreeMap<Vec<u8>, Arc<Node>>>,
}

impl Root {
    /// Without queues.
    pub fn new(volume: Volume) -> Arc<Self> {
        let face = volume.next_face(FileType::Directory, PERMISSIONS);
        Arc::new(Self { metadata: face.metadata((0, 0), 2, 0), volume, queues: SpinLock::default() })
    }

    /// The device number of the file system.
    pub fn device(&self) -> u64 {
        self.volume.device()
    }

    /// Names a queue.
    ///
    /// # Errors
    /// EEXIST, ENOSPC for too many queues, ENAMETOOLONG.
    pub fn add(
        &self,
        name: &[u8],
        queue: Arc<Queue>,
        permissions: u32,
        maker: &Credentials,
    ) -> Result<Arc<Node>> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let owner = (maker.fsuid(), maker.fsgid());
        let face = self.volume.next_face(FileType::Regular, permissions & 0o7777);
        let node = Node::new(face.metadata(owner, 1, 0), queue);
        let mut queues = self.queues.lock();
        if queues.contains_key(name) {
            return Err(Errno::EEXIST.into());
        }
        if queues.len() >= QUEUES_MAX && !maker.has(Capability::SysResource) {
            return Err(Errno::ENOSPC.into());
        }
        queues.insert(Vec::from(name), node.clone());
        Ok(node)
    }

    fn node(&self, name: &[u8]) -> Option<Arc<Node>> {
        self.queues.lock().get(name).cloned()
    }
}

impl Inode for Root {
    fn metadata(&self) -> Metadata {
        Metadata { size: 20 * self.queues.lock().len() as u64, ..self.metadata }
    }

    /// Names come by mq_open(3) as well, past those who look here.
    fn must_revalidate(&self) -> bool {
        true
    }

    fn revalidate(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        self.node(name).is_some_and(|node| core::ptr::addr_eq(Arc::as_ptr(&node), Arc::as_ptr(child)))
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let Attributes { permissions, uid, gid, size, .. } = change;
        if permissions.or(*uid).or(*gid).is_some() || size.is_some() {
            return Err(Errno::EPERM.into());
        }
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.node(name).ok_or(Errno::ENOENT)?)
    }

    /// open(2) with O_CREAT makes a queue of default attributes.
    fn create(
        &self,
        name: &[u8],
        what: NewInode<'_>,
        permissions: u32,
        _owner: (u32, u32),
    ) -> Result<Arc<dyn Inode>> {
        let NewInode::Regular = what else { return Err(Errno::EPERM.into()) };
        let thread = Thread::current().ok_or(Errno::EPERM)?;
        let process = thread.process();
        Ok(self.add(name, Queue::new(None, process)?, permissions, &process.credentials())?)
    }

    fn unlink(&self, name: &[u8], victim: &Arc<dyn Inode>) -> Result<()> {
        if !self.revalidate(name, victim) {
            return Err(Errno::ENOENT.into());
        }
        let node = self.queues.lock().remove(name);
        if let Some(node) = &node {
            node.unlinked();
        }
        Ok(())
    }

    fn read_dir(&self, from: u64, emit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let own = self.metadata.ino;
        let dots = [b".".as_slice(), b".."].map(|name| (Vec::from(name), own, FileType::Directory));
        let queues = self.queues.lock();
        let named = queues.iter().map(|(name, node)| (name.clone(), node.metadata().ino, FileType::Regular));
        let entries: Vec<_> = dots.into_iter().chain(named).collect();
        drop(queues);
        for (index, (name, ino, file_type)) in entries.iter().enumerate().skip(from as usize) {
            if !emit(DirEntry { name, ino: *ino, file_type: *file_type, next: index as u64 + 1 }) {
                break;
            }
        }
        Ok(())
    }
}
