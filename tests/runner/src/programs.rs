//! Builds the guest programs, and initramfs files around them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// The root of the source tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds a guest program and gives its path.
pub fn build(package: &str) -> anyhow::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--package", package, "--target", TARGET])
        // Debugging information would be most of the initramfs.
        .args(["--config", "profile.dev.strip=\"symbols\""])
        .current_dir(root())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{package} does not build");
    Ok(root().join("target").join(TARGET).join("debug").join(package))
}

/// Builds a program of this computer and gives its path.
pub fn build_tool(package: &str) -> anyhow::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--package", package])
        .current_dir(root())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{package} does not build");
    Ok(root().join("target/debug").join(package))
}

/// Builds a kernel (a program for no operating system) and gives its path.
pub fn build_kernel(package: &str) -> anyhow::Result<PathBuf> {
    const TARGET: &str = "x86_64-unknown-none";
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--release", "--package", package, "--target", TARGET])
        .current_dir(root())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{package} does not build");
    Ok(root().join("target").join(TARGET).join("release").join(package))
}

/// Writes an initramfs whose `/init` is the program.
pub fn initramfs(program: &Path, to: &Path) -> anyhow::Result<()> {
    let init = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let bytes = coffer_image_builder::initramfs::build(&init).context("cannot make an initramfs")?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}
