//! What is on the PCI bus, and its drivers.

use super::disk::Disks;
use super::virtio;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;
use ostd::pci::Function;

/// Brings up what there is a driver for. A device that cannot be used gets a warning and is left alone.
pub fn probe() {
    let mut disks = Disks::default();
    for function in ostd::pci::take_all() {
        let location = function.location();
        if let Err(error) = add(function, &mut disks) {
            log::warn!("device at {location:?} left alone: {error}");
        }
    }
}

fn add(function: Function, disks: &mut Disks) -> Result<(), String> {
    fn text(error: impl Debug) -> String {
        format!("{error:?}")
    }
    if coffer_nvme::probe(&function) {
        disks.add_nvme(function).map_err(text)
    } else {
        virtio::add(function, disks).map_err(text)
    }
}
