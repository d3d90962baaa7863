//! sysfs (sysfs(5)): the machine's devices as files, in the places where programs look: one tree, the same in all mounts.
//!
//! Devices appear as they are registered. What is shown of [`block`] devices, [`char_device`]s, [`cpus`], the host's
//! own files ([`fw_cfg`]) and the [`network`] is in these files.

mod block;
mod char_device;
mod cpus;
mod fw_cfg;
mod network;
mod tdx;

use super::synthetic::{Directory, Text, Volume};
use super::vfs::file_system::{
    self, FileSystem, MountRequest, SuperBlock, SuperBlockOps, allocate_device, split_device,
};
use super::vfs::inode::FileType;
use crate::device::registry::{self, Node};
use crate::error::Result;
use alloc::format;
use alloc::sync::Arc;
use ostd::sync::Lazy;

/// Magic of sysfs (statfs(2)).
const SYSFS_MAGIC: u32 = 0x6265_6572;

#[derive(Debug)]
struct Driver;

#[derive(Debug)]
struct Ops;

#[derive(Debug)]
struct Tree {
    volume: Arc<Volume>,
    root: Arc<Directory>,
    super_block: Arc<SuperBlock>,
}

static TREE: Lazy<Tree> = Lazy::new(|| {
    let volume = Arc::new(Volume::new(allocate_device()));
    let root = Directory::new(&volume);
    let super_block = SuperBlock::new("sysfs", SYSFS_MAGIC, volume.device(), root.clone(), Arc::new(Ops));
    Tree { volume, root, super_block }
});

/// Registers the file system; from now on devices come and go with their registration.
pub fn register() {
    file_system::register(&Driver);
    let root = &TREE.root;
    for name in ["block", "bus", "class", "dev", "devices", "firmware", "fs", "kernel", "module", "power"] {
        root.subdirectory(name);
    }
    // Where cgroups are mounted, once there are any.
    at("fs").subdirectory("cgroup");
    at("dev").subdirectory("block");
    at("dev").subdirectory("char");
    at("kernel").text("uevent_seqnum", |text| line(text, 0));
    cpus::fill(&at("devices/system"));
    fw_cfg::fill(&at("firmware"));
    network::fill(&TREE.volume, &at("class"), &at("devices/virtual"));
    tdx::fill();
    // Where configfs is mounted.
    if ostd::tdx::is_active() {
        at("kernel").subdirectory("config");
    }
    registry::observe_nodes(show);
}

impl SuperBlockOps for Ops {}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "sysfs"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn shows_the_machine(&self) -> bool {
        true
    }

    fn mount(&self, _: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        Ok(TREE.super_block.clone())
    }
}

/// A directory by its path from the top, made if need be.
fn at(path: &str) -> Arc<Directory> {
    path.split('/').fold(TREE.root.clone(), |directory, name| directory.subdirectory(name))
}

/// Shows a device, or takes it away.
fn show(node: &Node, is_new: bool) {
    let name = char_device::name(node);
    let (class, parent) = match node.file_type {
        FileType::BlockDevice => ("block", "devices/virtio/block"),
        _ => char_device::place(node),
    };
    let (major, minor) = split_device(node.device);
    let kind = if node.file_type == FileType::BlockDevice { "dev/block" } else { "dev/char" };
    let number = format!("{major}:{minor}");
    let class_directory = at(&format!("class/{class}"));
    if !is_new {
        at(parent).remove(&name);
        class_directory.remove(&name);
        at(kind).remove(&number);
        at("block").remove(&name);
        return;
    }
    let device = at(parent).subdirectory(&name);
    device.file("dev", 0o444, format!("{number}\n"));
    device.file("uevent", 0o644, format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={}\n", node.name));
    let up = "../".repeat(parent.split('/').count() + 1);
    device.link("subsystem", format!("{up}class/{class}"));
    class_directory.link(&name, format!("../../{parent}/{name}"));
    at(kind).link(&number, format!("../../{parent}/{name}"));
    if node.file_type == FileType::BlockDevice {
        at("block").link(&name, format!("../{parent}/{name}"));
        block::fill(&device, node.device);
    } else {
        char_device::fill(&device, node);
    }
}

/// A file's only line.
fn line(text: &mut Text, value: impl core::fmt::Display) -> Result<()> {
    text.add(format_args!("{value}\n"));
    Ok(())
}
