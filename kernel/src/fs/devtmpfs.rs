//! devtmpfs: one tmpfs instance that shows a node for each registered device; every mount of it is the same tree.

use super::tmpfs;
use super::vfs::dentry::Dentry;
use super::vfs::edit;
use super::vfs::file_system::{self, FileSystem, MountRequest, SuperBlock};
use super::vfs::inode::NewInode;
use crate::device::registry::{self, Node};
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use ostd::sync::Lazy;

#[derive(Debug)]
struct Driver;

static INSTANCE: Lazy<Arc<SuperBlock>> = Lazy::new(|| tmpfs::new_unlimited("devtmpfs"));

/// Registers the file system; from now on nodes come and go with their devices.
pub fn register() {
    file_system::register(&Driver);
    registry::observe_nodes(show);
}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "devtmpfs"
    }

    fn mount(&self, _: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        Ok(INSTANCE.clone())
    }
}

fn show(node: &Node, is_new: bool) {
    if node.name.is_empty() {
        return;
    }
    let result = if is_new { add(node) } else { remove(node) };
    if let Err(error) = result {
        log::warn!("devtmpfs: {}: {error:?}", node.name);
    }
}

fn add(node: &Node) -> Result<()> {
    let (directory, name) = directory_of(node)?;
    let what = NewInode::Node(node.file_type, node.device);
    edit::create(&directory, name, what, node.permissions, (0, 0), edit::unchecked)?;
    Ok(())
}

fn remove(node: &Node) -> Result<()> {
    let (directory, name) = directory_of(node)?;
    edit::remove(&directory, name, false, edit::unchecked)
}

/// The directory of a node, made if need be, and the node's last name.
fn directory_of(node: &Node) -> Result<(Arc<Dentry>, &[u8])> {
    let mut directory = INSTANCE.root().clone();
    let (parents, name) = node.name.rsplit_once('/').unwrap_or(("", &node.name));
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        let made =
            edit::create(&directory, part.as_bytes(), NewInode::Directory, 0o755, (0, 0), edit::unchecked);
        directory = match made {
            Err(error) if error.errno() == Errno::EEXIST => directory.child(part.as_bytes())?,
            made => made?,
        };
    }
    Ok((directory, name.as_bytes()))
}
