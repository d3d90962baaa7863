//! What is compared.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use coffer_harness::{Artifacts, DEBUG_EXIT_PORT};

/// Columns of the table. The ratio is that of Coffer to the first one.
pub const FAIR: &str = "Linux";
pub const STOCK: &str = "Linux, as it comes";
pub const COFFER: &str = "Coffer";

/// A kernel and how it is booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its column.
    pub column: &'static str,
    /// What QEMU's `-kernel` is given.
    pub path: PathBuf,
    /// Its command line.
    pub command_line: String,
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
        let path = PathBuf::from(format!("/boot/vmlinuz-{}", releases.pop().context(missing)?));
        let kernel = |column, more: &str| Self {
            column,
            path: path.clone(),
            command_line: format!("console=ttyS0 quiet panic=-1{more}"),
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
            shipped: artifacts.uki(),
        }
    }
}
