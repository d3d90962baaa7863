//! Disks of all kinds, under the names that Linux gives them: vda, sda, nvme0n1.

use super::registry;
use alloc::format;
use alloc::string::String;
use coffer_virtio_blk::VirtioBlk;
use ostd::pci::Function;

/// Counts disks of each kind while the bus is gone through.
#[derive(Debug, Default)]
pub struct Disks {
    virtio: usize,
    scsi: usize,
    nvme: usize,
}

impl Disks {
    /// Brings up a virtio disk.
    pub fn add_virtio(&mut self, function: Function) -> Result<(), coffer_virtio::Error> {
        registry::register_block(&lettered("vd", self.virtio), VirtioBlk::new(function)?);
        self.virtio += 1;
        Ok(())
    }

    /// Brings up a virtio SCSI adapter with its disks.
    pub fn add_scsi(&mut self, function: Function) -> Result<(), coffer_virtio::Error> {
        for disk in coffer_virtio_scsi::bring_up(function)? {
            registry::register_block(&lettered("sd", self.scsi), disk);
            self.scsi += 1;
        }
        Ok(())
    }

    /// Brings up an NVMe controller with its namespaces.
    pub fn add_nvme(&mut self, function: Function) -> Result<(), coffer_nvme::Error> {
        let controller = self.nvme;
        self.nvme += 1;
        for disk in coffer_nvme::bring_up(function)? {
            registry::register_block(&format!("nvme{controller}n{}", disk.id()), disk);
        }
        Ok(())
    }
}

/// a to z, then aa, ab, …
fn lettered(prefix: &str, mut index: usize) -> String {
    let mut letters = String::new();
    loop {
        letters.insert(0, char::from(b'a' + (index % 26) as u8));
        match (index / 26).checked_sub(1) {
            Some(rest) => index = rest,
            None => return format!("{prefix}{letters}"),
        }
    }
}
