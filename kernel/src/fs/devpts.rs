//! devpts: the names of pseudo terminals. Every mount is an instance of its own, with numbers from 0 and a ptmx of its own
//! (the `newinstance` of old; Linux's Documentation/filesystems/devpts).

use super::synthetic::{Directory, Emit, Listing, Volume};
use super::vfs::file_system::{self, FileSystem, MountRequest, SuperBlock, SuperBlockOps, allocate_device};
use super::vfs::inode::{Attributes, FileType, Inode, Metadata, Timestamp};
use super::vfs::lookup::{self, LookupFlags, LookupStart};
use super::vfs::place::Path;
use crate::device::tty::{Tty, pty};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::FileOps;
use crate::thread::Thread;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::{Once, SpinLock};

/// Magic of devpts (statfs(2)).
const DEVPTS_SUPER_MAGIC: u32 = 0x1cd1;
/// The most terminals of an instance.
const MAX: u32 = 4096;
/// Inode number of ptmx; terminals follow.
const PTMX_INODE: u64 = 2;

static INSTANCES: SpinLock<Vec<Weak<Instance>>> = SpinLock::new(Vec::new());

#[derive(Debug)]
struct Driver;

/// One mounted devpts.
#[derive(Debug)]
pub struct Instance {
    device: u64,
    super_block: Once<Weak<SuperBlock>>,
    options: SpinLock<Options>,
    /// Numbers of terminals that one side still has open.
    taken: SpinLock<BTreeSet<u32>>,
    /// Terminals whose master is open.
    nodes: SpinLock<BTreeMap<u32, Arc<Node>>>,
    multiplexer: Arc<Node>,
}

/// Mount options.
#[derive(Clone, Copy, Debug)]
struct Options {
    uid: Option<u32>,
    gid: Option<u32>,
    permissions: u32,
    multiplexer_permissions: u32,
    max: u32,
}

/// A terminal's number, free again when this goes.
#[derive(Debug)]
pub struct Number {
    instance: Weak<Instance>,
    index: u32,
}

/// Registers the file system.
pub fn register() {
    file_system::register(&Driver);
}

/// The instance that an opened ptmx belongs to, and its root: a node in devpts to its own, any other to the one mounted on `pts` beside it.
///
/// # Errors
/// ENODEV if there is none.
pub fn instance_for(multiplexer: &Path) -> Result<(Arc<Instance>, Path)> {
    if let Some(instance) = of_device(multiplexer.mount.super_block().device()) {
        return Ok((instance, Path::root_of(multiplexer.mount.clone())));
    }
    let thread = Thread::current().ok_or(Errno::ENODEV)?;
    let mut start = LookupStart::of(&thread);
    start.base = multiplexer.parent().ok_or(Errno::ENODEV)?;
    let found = lookup::lookup(&start, b"pts", LookupFlags::FOLLOW | LookupFlags::DIRECTORY)
        .map_err(|_| Error::with(Errno::ENODEV, "no pts beside ptmx"))?;
    let instance = of_device(found.mount.super_block().device())
        .filter(|_| found.is_mount_root())
        .ok_or(Error::with(Errno::ENODEV, "no devpts beside ptmx"))?;
    Ok((instance, found))
}

/// Takes the lowest number that is free.
///
/// # Errors
/// ENOSPC.
pub fn take_number(instance: &Arc<Instance>) -> Result<Number> {
    let max = instance.options.lock().max;
    let mut taken = instance.taken.lock();
    let index = (0..max).find(|index| !taken.contains(index)).ok_or(Errno::ENOSPC)?;
    taken.insert(index);
    Ok(Number { instance: Arc::downgrade(instance), index })
}

/// Takes a terminal's name away: its master is closed.
pub fn remove(number: &Number) {
    let Some(instance) = number.instance.upgrade() else { return };
    let node = instance.nodes.lock().remove(&number.index);
    drop(node);
    if let Some(super_block) = instance.super_block.get().and_then(Weak::upgrade) {
        let root = super_block.root();
        if let Some(child) = root.cached_child(format!("{}", number.index).as_bytes()) {
            root.remove_child(&child);
        }
    }
}

fn of_device(device: u64) -> Option<Arc<Instance>> {
    INSTANCES.lock().iter().filter_map(Weak::upgrade).find(|instance| instance.device == device)
}

impl Number {
    /// The number.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.upgrade() {
            instance.taken.lock().remove(&self.index);
        }
    }
}

impl Instance {
    /// Names a new terminal, as whoever opened the master owns it.
    pub fn add(&self, index: u32, tty: &Arc<Tty>) {
        let options = *self.options.lock();
        let own = Thread::current().map(|thread| thread.process().credentials());
        let (uid, gid) = own.map_or((0, 0), |own| (own.fsuid(), own.fsgid()));
        let owner = (options.uid.unwrap_or(uid), options.gid.unwrap_or(gid));
        let ino = PTMX_INODE + 1 + u64::from(index);
        let node = Node::new(self.device, ino, tty.device(), options.permissions, owner, Arc::downgrade(tty));
        self.nodes.lock().insert(index, node);
    }
}

impl Options {
    fn parse(self, request: &MountRequest<'_>) -> Result<Self> {
        let mut options = self;
        for (key, value) in request.options() {
            let number = |radix: u32| {
                let text = value.and_then(|value| core::str::from_utf8(value).ok());
                let parsed = text.and_then(|text| u32::from_str_radix(text, radix).ok());
                parsed.ok_or(Error::with(Errno::EINVAL, "a devpts option needs a number"))
            };
            match key {
                b"newinstance" => {}
                b"uid" => options.uid = Some(request.start.credentials.kernel_uid(number(10)?)?),
                b"gid" => options.gid = Some(request.start.credentials.kernel_gid(number(10)?)?),
                b"mode" => options.permissions = number(8)? & 0o7777,
                b"ptmxmode" => options.multiplexer_permissions = number(8)? & 0o7777,
                b"max" => options.max = number(10)?.min(MAX),
                _ => return Err(Error::with(Errno::EINVAL, "unknown devpts option")),
            }
        }
        Ok(options)
    }
}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "devpts"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        let defaults =
            Options { uid: None, gid: None, permissions: 0o600, multiplexer_permissions: 0, max: MAX };
        let options = defaults.parse(request)?;
        let volume = Arc::new(Volume::new(allocate_device()));
        let device = volume.device();
        let own = &request.start.credentials;
        let multiplexer = Node::new(
            device,
            PTMX_INODE,
            pty::multiplexer_device(),
            options.multiplexer_permissions,
            (options.uid.unwrap_or(own.fsuid()), options.gid.unwrap_or(own.fsgid())),
            Weak::new(),
        );
        let instance = Arc::new(Instance {
            device,
            super_block: Once::new(),
            options: SpinLock::new(options),
            taken: SpinLock::default(),
            nodes: SpinLock::default(),
            multiplexer,
        });
        let face = volume.face(1, FileType::Directory, 0o755);
        let root = Directory::with_listing(&volume, face, Names(instance.clone()));
        let ops = Arc::new(Ops(instance.clone()));
        let super_block = SuperBlock::new("devpts", DEVPTS_SUPER_MAGIC, device, root, ops);
        instance.super_block.call_once(|| Arc::downgrade(&super_block));
        let mut instances = INSTANCES.lock();
        instances.retain(|instance| instance.strong_count() > 0);
        instances.push(Arc::downgrade(&instance));
        Ok(super_block)
    }
}

#[derive(Debug)]
struct Ops(Arc<Instance>);

impl SuperBlockOps for Ops {
    fn show_options(&self, out: &mut Vec<u8>) {
        let options = *self.0.options.lock();
        let reader = Thread::current().map(|thread| thread.process().credentials());
        let uid = options.uid.map(|uid| reader.as_ref().map_or(uid, |reader| reader.shown_uid(uid)));
        let gid = options.gid.map(|gid| reader.as_ref().map_or(gid, |reader| reader.shown_gid(gid)));
        for (key, id) in [("uid", uid), ("gid", gid)] {
            if let Some(id) = id {
                out.extend_from_slice(format!(",{key}={id}").as_bytes());
            }
        }
        let (mode, ptmxmode) = (options.permissions, options.multiplexer_permissions);
        out.extend_from_slice(format!(",mode={mode:03o},ptmxmode={ptmxmode:03o}").as_bytes());
    }

    fn remount(&self, request: &MountRequest<'_>) -> Result<()> {
        let mut options = self.0.options.lock();
        *options = options.parse(request)?;
        self.0.multiplexer.attributes.lock().permissions = options.multiplexer_permissions;
        Ok(())
    }
}

/// The names in an instance.
#[derive(Debug)]
struct Names(Arc<Instance>);

impl Names {
    fn node(&self, name: &[u8]) -> Option<Arc<Node>> {
        if name == b"ptmx" {
            return Some(self.0.multiplexer.clone());
        }
        let index: u32 = core::str::from_utf8(name).ok()?.parse().ok()?;
        self.0.nodes.lock().get(&index).cloned()
    }
}

impl Listing for Names {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.node(name).ok_or(Errno::ENOENT)?)
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        if from == 0 && !emit(b"ptmx", PTMX_INODE, FileType::CharDevice, 1) {
            return Ok(());
        }
        let indexes: Vec<u32> = self.0.nodes.lock().keys().copied().collect();
        for index in indexes.into_iter().filter(|index| u64::from(*index) + 1 >= from) {
            let ino = PTMX_INODE + 1 + u64::from(index);
            if !emit(format!("{index}").as_bytes(), ino, FileType::CharDevice, u64::from(index) + 2) {
                break;
            }
        }
        Ok(())
    }

    fn is_current(&self, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        self.node(name).is_some_and(|node| core::ptr::addr_eq(Arc::as_ptr(&node), Arc::as_ptr(child)))
    }
}

/// A device node. It does not keep its terminal: names are cached longer than terminals live.
#[derive(Debug)]
struct Node {
    device: u64,
    ino: u64,
    rdev: u64,
    tty: Weak<Tty>,
    attributes: SpinLock<NodeAttributes>,
}

#[derive(Clone, Copy, Debug)]
struct NodeAttributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

impl Node {
    fn new(
        device: u64,
        ino: u64,
        rdev: u64,
        permissions: u32,
        (uid, gid): (u32, u32),
        tty: Weak<Tty>,
    ) -> Arc<Self> {
        let now = Timestamp::now();
        let attributes = NodeAttributes { permissions, uid, gid, accessed: now, modified: now, changed: now };
        Arc::new(Self { device, ino, rdev, tty, attributes: SpinLock::new(attributes) })
    }
}

impl Inode for Node {
    fn metadata(&self) -> Metadata {
        let attributes = *self.attributes.lock();
        Metadata {
            dev: self.device,
            ino: self.ino,
            file_type: FileType::CharDevice,
            permissions: attributes.permissions,
            links: 1,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: self.rdev,
            size: 0,
            blocks: 0,
            block_size: 1024,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
        }
    }

    fn set_attributes(&self, change: &Attributes) -> Result<()> {
        let mut attributes = self.attributes.lock();
        let old = *attributes;
        *attributes = NodeAttributes {
            permissions: change.permissions.unwrap_or(old.permissions),
            uid: change.uid.unwrap_or(old.uid),
            gid: change.gid.unwrap_or(old.gid),
            accessed: change.accessed.unwrap_or(old.accessed),
            modified: change.modified.unwrap_or(old.modified),
            changed: Timestamp::now(),
        };
        Ok(())
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        if self.ino == PTMX_INODE {
            // The registry serves it: it is given the place as well.
            return Ok(None);
        }
        let tty = self.tty.upgrade().ok_or(Errno::EIO)?;
        pty::open_terminal(&tty, flags).map(Some)
    }
}
