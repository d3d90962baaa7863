//! `cargo xtask setup`: installs what the machine lacks, and nothing that it has. The other verbs do the same for what they
//! need themselves, so that a fresh machine takes one command.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use crate::packages::{self, BENCH, FUZZ, IMAGES, NIX, RUN, Requirement, TEST};
use crate::workspace;

/// Installs everything that any verb needs.
pub fn main() -> anyhow::Result<ExitCode> {
    ensure_met(&[RUN, IMAGES, TEST, NIX, FUZZ, BENCH])?;
    eprintln!("everything is installed");
    // The tests do without, and Debian's brings an engine that runs as root: whether to have it is the user's to say.
    if !packages::is_on_path("docker") {
        eprintln!(
            "but for a docker client, to drive machines with: Debian's is in the package docker.io, together with an engine"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing of toolchain targets and of `requirements`; says nothing where all is there.
pub fn ensure_met(requirements: &[&[Requirement]]) -> anyhow::Result<()> {
    toolchain()?;
    let missing: Vec<_> =
        requirements.iter().copied().flatten().filter(|requirement| !requirement.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> =
        missing.iter().map(|item| format!("{} (package {})", item.what, item.package)).collect();
    eprintln!("missing on this machine: {}", names.join(", "));
    let packages: Vec<_> = missing.iter().map(|requirement| requirement.package).collect();
    // A list of packages that is too old refers to versions that are gone; one update cures that.
    if !install(&packages)? {
        ensure!(apt(&["update", "-q"])?, "apt-get update failed");
        ensure!(install(&packages)?, "could not install {}", packages.join(" "));
    }
    Ok(())
}

/// rust-toolchain.toml names targets and components; rustup installs all of them on being asked for the toolchain.
fn toolchain() -> anyhow::Result<()> {
    let missing: Vec<_> = ["x86_64-unknown-none", "x86_64-unknown-uefi", "x86_64-unknown-linux-musl"]
        .into_iter()
        .filter(|target| !has_target(target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing the targets {}", missing.join(", "));
    let status = Command::new("rustup")
        .args(["target", "add"])
        .args(&missing)
        .current_dir(workspace::root())
        .status()
        .context("rustup is not installed; it brings the pinned toolchain")?;
    ensure!(status.success(), "rustup could not add the targets {}", missing.join(", "));
    Ok(())
}

fn has_target(target: &str) -> bool {
    let library = workspace::output_of("rustc", &["--print", "target-libdir", "--target", target]);
    library.is_ok_and(|folder| std::path::Path::new(&folder).exists())
}

fn install(packages: &[&str]) -> anyhow::Result<bool> {
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> anyhow::Result<bool> {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.arg("apt-get");
    }
    let status = command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("apt-get is not there; install the packages named above by hand")?;
    Ok(status.success())
}
