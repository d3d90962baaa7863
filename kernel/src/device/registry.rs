//! Device numbers and names: who serves an opening of a device node, and which nodes devtmpfs shows.

use super::block::BlockNode;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::FileOps;
use crate::fs::vfs::file_system::device_number;
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::place::Path;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_block::BlockDevice;
use ostd::sync::SpinLock;

/// Opens a character device: the node's place, its device number, `O_*` flags.
pub type CharOpen = Box<dyn Fn(&Path, u64, u32) -> Result<Arc<dyn FileOps>> + Send + Sync>;

struct CharDevice {
    name: String,
    permissions: u32,
    open: Arc<CharOpen>,
}

struct BlockEntry {
    name: String,
    node: Arc<BlockNode>,
}

static CHAR: SpinLock<BTreeMap<u64, CharDevice>> = SpinLock::new(BTreeMap::new());
static BLOCK: SpinLock<BTreeMap<u64, BlockEntry>> = SpinLock::new(BTreeMap::new());
/// Told of nodes that come and go: devtmpfs, sysfs.
static NODE_OBSERVERS: SpinLock<Vec<NodeObserver>> = SpinLock::new(Vec::new());

/// Major number of virtio disks and of all others that we have.
const BLOCK_MAJOR: u32 = 254;

/// Is told of a node that comes (`true`) or goes.
pub type NodeObserver = fn(&Node, bool);

/// A node as devtmpfs shows it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Path below /dev.
    pub name: String,
    /// Character or block device.
    pub file_type: FileType,
    /// Device number.
    pub device: u64,
    /// Permission bits.
    pub permissions: u32,
}

/// Registers a character device under `name` (a path below /dev; empty: no node). Nodes get permissions 0600.
///
/// # Errors
/// EEXIST if the number is taken.
pub fn register_char(
    major: u32,
    minor: u32,
    name: &str,
    open: impl Fn(&Path, u64, u32) -> Result<Arc<dyn FileOps>> + Send + Sync + 'static,
) -> Result<()> {
    register_char_with(major, minor, name, 0o600, open)
}

/// As [`register_char`], with the node's permissions.
///
/// # Errors
/// EEXIST if the number is taken.
pub fn register_char_with(
    major: u32,
    minor: u32,
    name: &str,
    permissions: u32,
    open: impl Fn(&Path, u64, u32) -> Result<Arc<dyn FileOps>> + Send + Sync + 'static,
) -> Result<()> {
    let device = device_number(major, minor);
    let entry = CharDevice { name: String::from(name), permissions, open: Arc::new(Box::new(open)) };
    {
        let mut devices = CHAR.lock();
        if devices.contains_key(&device) {
            return Err(Error::with(Errno::EEXIST, "the device number is taken"));
        }
        devices.insert(device, entry);
    }
    announce(&Node { name: String::from(name), file_type: FileType::CharDevice, device, permissions }, true);
    Ok(())
}

/// Registers a disk under `name` (`vda`); returns its device number.
pub fn register_block(name: &str, disk: Arc<dyn BlockDevice>) -> u64 {
    let device = {
        let mut devices = BLOCK.lock();
        let minor =
            (0..).find(|&minor| !devices.contains_key(&device_number(BLOCK_MAJOR, minor * 16))).unwrap_or(0);
        let device = device_number(BLOCK_MAJOR, minor * 16);
        devices.insert(device, BlockEntry { name: String::from(name), node: BlockNode::new(disk) });
        device
    };
    let node =
        Node { name: String::from(name), file_type: FileType::BlockDevice, device, permissions: 0o600 };
    announce(&node, true);
    device
}

/// The disk with that number.
pub fn find_block(device: u64) -> Option<Arc<BlockNode>> {
    BLOCK.lock().get(&device).map(|entry| entry.node.clone())
}

/// All disks: name, number, disk. For sysfs and /proc/partitions.
pub fn blocks() -> Vec<(String, u64, Arc<BlockNode>)> {
    BLOCK.lock().iter().map(|(&device, entry)| (entry.name.clone(), device, entry.node.clone())).collect()
}

/// All nodes that devtmpfs shows.
pub fn nodes() -> Vec<Node> {
    let char = |(&device, entry): (&u64, &CharDevice)| Node {
        name: entry.name.clone(),
        file_type: FileType::CharDevice,
        device,
        permissions: entry.permissions,
    };
    let block = |(&device, entry): (&u64, &BlockEntry)| Node {
        name: entry.name.clone(),
        file_type: FileType::BlockDevice,
        device,
        permissions: 0o600,
    };
    let mut nodes: Vec<Node> = CHAR.lock().iter().map(char).collect();
    nodes.extend(BLOCK.lock().iter().map(block));
    nodes
}

/// Registers who is told of nodes that come (`true`) and go, and tells of those that are there.
pub fn observe_nodes(observer: NodeObserver) {
    NODE_OBSERVERS.lock().push(observer);
    nodes().iter().for_each(|node| observer(node, true));
}

/// Opens a character device.
///
/// # Errors
/// ENXIO if nobody serves the number, the driver's.
pub fn open_char(path: &Path, device: u64, flags: u32) -> Result<Arc<dyn FileOps>> {
    let open = CHAR.lock().get(&device).map(|entry| entry.open.clone()).ok_or(Errno::ENXIO)?;
    open(path, device, flags)
}

/// Opens a disk.
///
/// # Errors
/// ENXIO if there is none of that number, EROFS if it only reads.
pub fn open_block(device: u64, flags: u32) -> Result<Arc<dyn FileOps>> {
    find_block(device).ok_or(Errno::ENXIO)?.open(flags)
}

fn announce(node: &Node, is_new: bool) {
    if node.name.is_empty() {
        return;
    }
    let observers = NODE_OBSERVERS.lock().clone();
    observers.iter().for_each(|observer| observer(node, is_new));
}
