//! What is compared.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use coffer_harness::{Artifacts, DEBUG_EXIT_PORT};

/// Columns of the table. The ratio is that of Coffer to the first one.
pub const FAIR: &str = "Linux";
pub const STOCK: &str = "Linux, as it comes";
pub const COFFER: &str = "Coffer";

const NETWORK_MODULES: [&str; 8] = [
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];
const CONTAINER_MODULES: [&str; 1] = ["fs/overlayfs/overlay"];

/// A kernel and how it is booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its column.
    pub column: &'static str,
    /// What QEMU's `-kernel` is given.
    pub path: PathBuf,
    /// Its command line.
    pub command_line: String,
    /// What it needs for a network card, and for containers, that is not in the kernel itself; each after those that it needs.
    pub network_modules: Vec<PathBuf>,
    pub container_modules: Vec<PathBuf>,
    /// The file whose size is compared.
    pub shipped: PathBuf,
}

impl Kernel {
    /// Debian's kernel, twice: without what Coffer does not do either (mitigations of speculative execution, clearing pages
    /// that the kernel takes for itself), which is the fair comparison, and as it comes.
    pub fn linux() -> anyhow::Result<[Self; 2]> {
        let missing = "Debian's kernel is not installed: it is in the package linux-image-cloud-amd64";
        let mut releases = Vec::new();
        for entry in fs::read_dir("/boot").context(missing)? {
            let name = entry.context(missing)?.file_name().to_string_lossy().into_owned();
            releases.extend(
                name.strip_prefix("vmlinuz-")
                    .filter(|rest| rest.ends_with("-cloud-amd64"))
                    .map(str::to_owned),
            );
        }
        releases.sort();
        let release = releases.pop().context(missing)?;
        let path = PathBuf::from(format!("/boot/vmlinuz-{release}"));
        let modules = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| format!("/lib/modules/{release}/kernel/{name}.ko").into()).collect()
        };
        let network_modules = modules(&NETWORK_MODULES);
        let container_modules = modules(&CONTAINER_MODULES);
        let kernel = |column, more: &str| Self {
            column,
            path: path.clone(),
            command_line: format!("console=ttyS0 quiet panic=-1{more}"),
            network_modules: network_modules.clone(),
            container_modules: container_modules.clone(),
            shipped: path.clone(),
        };
        Ok([kernel(FAIR, " mitigations=off init_on_alloc=0"), kernel(STOCK, "")])
    }

    /// Ours.
    pub fn coffer(artifacts: &Artifacts) -> Self {
        Self {
            column: COFFER,
            path: artifacts.kernel(),
            command_line: format!("console=ttyS0 coffer.debug_exit={DEBUG_EXIT_PORT:#x}"),
            network_modules: Vec::new(),
            container_modules: Vec::new(),
            shipped: artifacts.uki(),
        }
    }
}
