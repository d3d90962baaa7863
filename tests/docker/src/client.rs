//! Which docker clients there are: the user's own, and Debian's.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::debian;

/// The `docker` on the PATH, if there is one.
#[must_use]
pub fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join("docker")).find(|program| program.is_file())
}

/// Debian's client, unpacked below `cache`: its package brings an engine as well.
///
/// # Errors
/// If the package cannot be downloaded or unpacked.
pub fn debian(cache: &Path) -> anyhow::Result<PathBuf> {
    debian::unpacked("docker.io", "docker", cache)
}

/// What a client calls itself: `Docker version 28.2.2, build e6534b4`.
///
/// # Errors
/// If it does not run.
pub fn version(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
