//! The machine that the module runs on.

use std::ffi::OsString;
use std::path::Path;

use coffer_qemu::accelerator::Accelerator;
use coffer_qemu::{Boot, Machine};

use crate::load::Domain;
use crate::quoting::Quoting;

/// A machine of `deploy/qemu` that runs the module with a pack: its devices reach shared memory only.
#[must_use]
pub fn machine(domain: &Domain, module: &Path, pack: &Path, quoting: Option<&Quoting>) -> Machine {
    let boot = Boot::Direct {
        kernel: module.to_path_buf(),
        initramfs: Some(pack.to_path_buf()),
        command_line: String::new(),
    };
    let mut machine = Machine::new(boot);
    machine.cpus = domain.cpus;
    machine.accelerator = Accelerator::Tcg;
    machine.memory_mib = u32::try_from(domain.memory().machine_size() >> 20).unwrap_or(u32::MAX);
    machine.extra = arguments(domain);
    machine.extra.extend(quoting.map(Quoting::arguments).unwrap_or_default());
    machine
}

/// What a machine for the module has besides: later arguments win over earlier ones.
fn arguments(domain: &Domain) -> Vec<OsString> {
    let processor = format!("max,phys-bits={}", domain.gpaw);
    [
        "-machine",
        // A domain has no system management mode.
        "max-ram-below-4g=2G,smm=off",
        "-cpu",
        &processor,
        // A device uses what the guest says are bus addresses, which are those of shared memory.
        "-global",
        "virtio-device.iommu_platform=on",
        "-global",
        "virtio-pci.disable-legacy=on",
    ]
    .map(OsString::from)
    .to_vec()
}
