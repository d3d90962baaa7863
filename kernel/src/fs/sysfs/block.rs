//! /sys/block/NAME: disks.

use super::line;
use crate::device::block::BlockNode;
use crate::device::registry;
use crate::error::Result;
use crate::fs::synthetic::{Directory, Source, Text};
use alloc::sync::Arc;

/// What a file tells of a disk.
#[derive(Debug)]
struct Shown {
    disk: Arc<BlockNode>,
    show: fn(&BlockNode, &mut Text) -> Result<()>,
}

impl Source for Shown {
    fn show(&self, text: &mut Text) -> Result<()> {
        (self.show)(&self.disk, text)
    }
}

/// Fills the directory of the disk with that device number.
pub fn fill(directory: &Directory, device: u64) {
    let Some(disk) = registry::find_block(device) else { return };
    let file = |directory: &Directory, name: &str, show| {
        directory.file(name, 0o444, Shown { disk: disk.clone(), show });
    };
    file(directory, "size", |disk, text| line(text, disk.disk().sectors()));
    file(directory, "ro", |disk, text| line(text, u8::from(disk.disk().is_read_only())));
    // As virtio-blk has it on Linux: no newline after the serial number.
    file(directory, "serial", |disk, text| {
        text.bytes(disk.disk().serial());
        Ok(())
    });
    directory.text("removable", |text| line(text, 0));
    directory.text("hidden", |text| line(text, 0));
    directory.text("range", |text| line(text, 16));
    directory.text("ext_range", |text| line(text, 256));
    directory.text("alignment_offset", |text| line(text, 0));
    directory.text("capability", |text| line(text, 0));
    // Transfers are not counted.
    directory.text("stat", |text| {
        line(text, "       0        0        0        0        0        0        0        0        0        0        0")
    });
    directory.subdirectory("holders");
    directory.subdirectory("slaves");

    let queue = directory.subdirectory("queue");
    for name in ["logical_block_size", "hw_sector_size", "physical_block_size", "minimum_io_size"] {
        file(&queue, name, |disk, text| line(text, disk.disk().block_size()));
    }
    for name in ["optimal_io_size", "rotational", "discard_granularity", "discard_max_bytes"] {
        queue.text(name, |text| line(text, 0));
    }
    queue.text("read_ahead_kb", |text| line(text, 128));
    queue.text("scheduler", |text| line(text, "[none]"));
    queue.text("zoned", |text| line(text, "none"));
}
