//! /proc/filesystems, devices, partitions, version, cmdline: what the kernel is and has.

use crate::device::registry;
use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::fs::vfs::file_system::{self, split_device};
use crate::fs::vfs::inode::FileType;
use crate::release;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// /proc/version.
pub fn show_version(text: &mut Text) -> Result<()> {
    text.add(format_args!(
        "{} version {} (coffer) {}\n",
        release::SYSTEM,
        release::RELEASE,
        release::VERSION
    ));
    Ok(())
}

/// /proc/cmdline.
pub fn show_cmdline(text: &mut Text) -> Result<()> {
    text.add(format_args!("{}\n", ostd::boot::info().command_line));
    Ok(())
}

/// /proc/filesystems: what can be mounted.
pub fn show_filesystems(text: &mut Text) -> Result<()> {
    for driver in file_system::drivers() {
        text.add(format_args!("{}\t{}\n", if driver.needs_device() { "" } else { "nodev" }, driver.name()));
    }
    Ok(())
}

/// /proc/devices: major numbers, each with the name of its first device without what numbers it.
pub fn show_devices(text: &mut Text) -> Result<()> {
    let mut majors = [BTreeMap::new(), BTreeMap::new()];
    for node in registry::nodes() {
        let is_block = node.file_type == FileType::BlockDevice;
        let family = String::from(node.name.trim_end_matches(|c: char| c.is_ascii_digit()));
        majors[usize::from(is_block)].entry(split_device(node.device).0).or_insert(family);
    }
    for (heading, majors) in ["Character devices:\n", "\nBlock devices:\n"].iter().zip(majors) {
        text.bytes(heading.as_bytes());
        for (major, name) in majors {
            text.add(format_args!("{major:>3} {name}\n"));
        }
    }
    Ok(())
}

/// /proc/partitions: disks and their size in KiB.
pub fn show_partitions(text: &mut Text) -> Result<()> {
    text.bytes(b"major minor  #blocks  name\n\n");
    for (name, device, node) in registry::blocks() {
        let (major, minor) = split_device(device);
        text.add(format_args!("{major:>4}  {minor:>7} {:>10} {name}\n", node.disk().sectors() / 2));
    }
    Ok(())
}
