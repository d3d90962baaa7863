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
    for function in ostd::pci::take_all(is_allowed) {
        let location = function.location();
        if let Err(error) = add(function, &mut disks) {
            log::warn!("device at {location:?} left alone: {error}");
        }
    }
}

/// In a trust domain a device is the host's hand: only those that there is a driver for, known to take whatever a device says, are even asked for
/// their registers.
fn is_allowed(function: &Function) -> bool {
    !ostd::tdx::is_active() || coffer_nvme::probe(function) || virtio::has_driver(function)
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
