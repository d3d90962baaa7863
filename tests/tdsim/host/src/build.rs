//! Builds programs for the bare machine: the module and its payloads.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

const TARGET: &str = "x86_64-unknown-none";

/// Builds a package and gives the program's path.
///
/// # Errors
/// If cargo is missing or the package does not build.
pub fn build_bare(package: &str) -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--release", "--package", package, "--target", TARGET])
        // Whole-program optimisation is for what ships.
        .args(["--config", "profile.release.lto=\"thin\""])
        .current_dir(&root)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{package} does not build");
    Ok(root.join("target").join(TARGET).join("release").join(package))
}
