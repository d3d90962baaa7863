//! The image that a machine boots: a disk that the user names, or what `cargo xtask image` has built.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use coffer_qemu::{Artifacts, Boot};

/// How to boot, and which file stands for it.
pub fn find(named: Option<&Path>) -> anyhow::Result<(Boot, PathBuf)> {
    if let Some(path) = named {
        let disk =
            path.canonicalize().with_context(|| format!("cannot find the image {}", path.display()))?;
        return Ok((Boot::Firmware { disk: disk.clone() }, disk));
    }
    for folder in folders() {
        let artifacts = Artifacts::at(&folder);
        if artifacts.kernel().exists() && artifacts.initramfs().exists() {
            return Ok((artifacts.boot_directly("")?, artifacts.uki()));
        }
        if artifacts.disk().exists() {
            return Ok((artifacts.boot_from_disk(), artifacts.disk()));
        }
    }
    bail!("no image is built here: name one with --image, or build it (`cargo xtask image`)")
}

/// Where builds leave images: `target` of the source tree that this program was built in or that it is called in.
fn folders() -> Vec<PathBuf> {
    let program = env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    let beside = program.ancestors().skip(1).take(2).map(Path::to_path_buf);
    beside.chain(env::current_dir().map(|folder| folder.join("target"))).collect()
}
