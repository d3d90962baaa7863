//! mount(2): from the data string to an instance.

use super::Overlay;
use super::inode::{OverlayInode, Place};
use super::layer::{Layer, Part};
use super::lookup::Found;
use super::work::Work;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::file_system::{FileSystem, MountRequest, SuperBlock, allocate_device};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::place::Path;
use crate::fs::vfs::propagation::{self, Propagation};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_overlay::Options;
use ostd::sync::SpinLock;

/// OVERLAYFS_SUPER_MAGIC.
const MAGIC: u32 = 0x794c_7630;
/// The most overlays on top of each other, as Linux has it: each takes its share of a kernel stack.
const DEPTH_MAX: u32 = 2;

/// The driver.
#[derive(Debug)]
pub struct Driver;

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        let options =
            Options::parse(request.options).map_err(|error| Error::with(Errno::EINVAL, error.text()))?;
        let find = |path: &Vec<u8>| find_directory(request.start, path);
        let lower = options.lower.iter().map(find).collect::<Result<Vec<_>>>()?;
        let upper = options.upper.as_ref().map(find).transpose()?;
        let work = options.work.as_ref().map(find).transpose()?;
        check_apart(&lower, upper.as_ref(), work.as_ref())?;

        let fs = Overlay {
            device: allocate_device(),
            depth: depth(lower.iter().chain(&upper))?,
            work: prepare_work(upper.as_ref(), work.as_ref())?,
            lower: Vec::new(),
            upper: None,
            options: request.options.to_vec(),
            is_volatile: options.is_volatile,
            shared: SpinLock::new(BTreeMap::new()),
        };
        let fs = Arc::new(fs.with_layers(upper, lower));
        let super_block = SuperBlock::new("overlay", MAGIC, fs.device, root(&fs)?, fs.clone());
        super_block.set_read_only(fs.work.is_none());
        Ok(super_block)
    }
}

impl Overlay {
    /// Takes the directories as layers and numbers their file systems.
    fn with_layers(mut self, upper: Option<Path>, lower: Vec<Path>) -> Self {
        let mut devices: Vec<u64> = Vec::new();
        let mut layer = |path: Path| {
            let device = path.mount.super_block().device();
            let known = devices.iter().position(|&known| known == device);
            let fs_index = known.unwrap_or_else(|| {
                devices.push(device);
                devices.len() - 1
            });
            let mount = path.mount.duplicate(path.dentry);
            propagation::set(&mount, Propagation::Private);
            // There are at most 501 layers.
            Layer { mount, fs_index: fs_index as u16 }
        };
        self.upper = upper.map(&mut layer);
        self.lower = lower.into_iter().map(layer).collect();
        self
    }
}

fn find_directory(start: &LookupStart, path: &[u8]) -> Result<Path> {
    lookup::lookup(start, path, LookupFlags::FOLLOW | LookupFlags::DIRECTORY)
}

/// EINVAL or ELOOP unless upper and work directory can work together and no lower directory is within another layer. The upper one may be
/// within a lower one, as on Linux: the lower one shows it as it is.
fn check_apart(lower: &[Path], upper: Option<&Path>, work: Option<&Path>) -> Result<()> {
    if let (Some(upper), Some(work)) = (upper, work) {
        if !Arc::ptr_eq(&upper.mount, &work.mount) {
            return Err(Error::with(Errno::EINVAL, "overlay: upperdir and workdir are on different mounts"));
        }
        if upper.dentry.is_within(&work.dentry) || work.dentry.is_within(&upper.dentry) {
            return Err(Error::with(Errno::EINVAL, "overlay: upperdir and workdir overlap"));
        }
    }
    for (index, path) in lower.iter().enumerate() {
        let others = lower[..index].iter().chain(&lower[index + 1..]).chain(upper).chain(work);
        if others.into_iter().any(|other| path.dentry.is_within(&other.dentry)) {
            return Err(Error::with(Errno::ELOOP, "overlay: a lower directory is within another layer"));
        }
    }
    Ok(())
}

fn depth<'a>(layers: impl Iterator<Item = &'a Path>) -> Result<u32> {
    let mut below = 0;
    for layer in layers {
        below = below.max(OverlayInode::depth_of(layer.inode()?));
    }
    if below >= DEPTH_MAX {
        return Err(Error::with(Errno::EINVAL, "overlay: too many overlays on top of each other"));
    }
    Ok(below + 1)
}

/// `None` if nothing can be changed: no upper directory, or one on a read-only mount.
fn prepare_work(upper: Option<&Path>, work: Option<&Path>) -> Result<Option<Work>> {
    let (Some(upper), Some(work)) = (upper, work) else { return Ok(None) };
    if upper.mount.is_read_only() {
        return Ok(None);
    }
    Work::new(&work.dentry, work.mount.super_block().clone()).map(Some)
}

fn root(fs: &Arc<Overlay>) -> Result<Arc<OverlayInode>> {
    let mut found = Found {
        upper: fs.upper.as_ref().map(Layer::root).transpose()?,
        lower: fs.lower.iter().map(Layer::root).collect::<Result<Vec<Part>>>()?,
    };
    if found.upper.as_ref().is_some_and(Part::is_opaque) {
        found.lower.clear();
    }
    OverlayInode::new(fs, found, Place { parent: None, name: [].into(), is_removed: false })
}
