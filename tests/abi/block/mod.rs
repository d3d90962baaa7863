//! Disks of every kind that the machine has: virtio-blk, virtio-scsi, NVMe.

mod disk;

use crate::case::Case;

pub const CASES: &[&[Case]] = &[disk::CASES];
