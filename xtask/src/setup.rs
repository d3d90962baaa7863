//! `cargo xtask setup`: installs what the machine lacks, and nothing that it has.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};

use crate::packages::{IMAGES, RUN, TEST};
use crate::workspace;

/// Installs missing toolchain targets and Debian packages.
pub fn main() -> anyhow::Result<ExitCode> {
    toolchain()?;
    packages()?;
    Ok(ExitCode::SUCCESS)
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

fn packages() -> anyhow::Result<()> {
    let missing: Vec<_> = [RUN, IMAGES, TEST]
        .into_iter()
        .flatten()
        .filter(|requirement| !requirement.is_met())
        .map(|requirement| requirement.package)
        .collect();
    if missing.is_empty() {
        eprintln!("everything is installed");
        return Ok(());
    }
    eprintln!("installing the packages {}", missing.join(", "));
    // A list of packages that is too old refers to versions that are gone; one update cures that.
    if !install(&missing)? {
        ensure!(apt(&["update", "-q"])?, "apt-get update failed");
        if !install(&missing)? {
            bail!("could not install {}", missing.join(" "));
        }
    }
    Ok(())
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
