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
    let root = root();
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

/// The compiler of tests/tdsim/client, as its `rust-toolchain.toml` has it.
pub const CLIENT_TOOLCHAIN: &str = "nightly-2026-10-30";

/// Builds the client, a program outside of the workspace, and gives its path; `None` without its compiler.
///
/// # Errors
/// If it does not build.
pub fn build_client() -> anyhow::Result<Option<PathBuf>> {
    const CLIENT: &str = "coffer-tdsim-client";
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", CLIENT_TOOLCHAIN]).args(arguments);
        // The one that this was built with would win.
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
        command
    };
    let has_compiler = rustup(&["rustc", "--version"]).output().is_ok_and(|output| output.status.success());
    if !has_compiler {
        return Ok(None);
    }
    let target = root().join("target/tdsim-client");
    let status = rustup(&["cargo", "build", "--locked", "--quiet", "--release", "--target", TARGET])
        .current_dir(root().join("tests/tdsim/client"))
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .context("cannot start rustup")?;
    ensure!(status.success(), "{CLIENT} does not build");
    Ok(Some(target.join(TARGET).join("release").join(CLIENT)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}
