//! The machine that the module runs on.

use std::path::Path;

use anyhow::Context as _;
use coffer_qemu::Simulated;

use crate::load::Domain;
use crate::quoting::Quoting;

/// A machine that runs the module with a pack: its devices reach shared memory only.
pub fn describe(domain: &Domain, module: &Path, pack: &Path, quoting: &Quoting) -> anyhow::Result<Simulated> {
    let mut arguments = arguments(domain);
    arguments.extend(quoting.arguments()?);
    Ok(Simulated {
        module: module.canonicalize().context("cannot find the module")?,
        pack: pack.canonicalize().context("cannot find the pack")?,
        cpus: domain.cpus,
        machine_mib: u32::try_from(domain.memory().machine_size() >> 20).context("too much memory")?,
        arguments,
        trust_root: quoting.root.clone(),
        collateral: quoting.collateral.clone(),
    })
}

/// What a machine for the module has besides: later arguments win over earlier ones.
fn arguments(domain: &Domain) -> Vec<String> {
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
    .map(str::to_owned)
    .to_vec()
}
