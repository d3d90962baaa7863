//! `cargo xtask lint`: formatting, compiler lints, and the rules of the house that no compiler knows.

mod layering;
mod native_code;
mod readme;
mod unsafe_code;

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};

use crate::progress::Step;
use crate::{docs, workspace};

pub use layering::workspace_packages;

/// One check: what it is called, and what runs it.
type Check = (&'static str, fn() -> anyhow::Result<()>);

/// Cheap first.
const CHECKS: &[Check] = &[
    ("formatting", || cargo(&["fmt", "--all", "--check"])),
    ("a README in each top folder", readme::check),
    ("dependencies point one way", layering::check),
    ("unsafe code only where it may be", unsafe_code::check),
    ("no C code in the image", native_code::check),
    ("docs/syscalls.md", docs::check),
    ("clippy (host)", || clippy(&["--all-targets"])),
    ("clippy (kernel)", || clippy(&["--package", "coffer-kernel", "--target", "x86_64-unknown-none"])),
    ("clippy (kernel that tests ostd)", || {
        clippy(&["--package", "coffer-ostd-tests", "--target", "x86_64-unknown-none"])
    }),
    ("clippy (simulated TDX module)", || {
        let packages = ["--package", "coffer-tdsim-module", "--package", "coffer-tdsim-payload"];
        clippy(&[&packages[..], &["--target", "x86_64-unknown-none"]].concat())
    }),
    ("clippy (guest programs)", || {
        let packages = ["--package", "coffer-abi", "--package", "coffer-ubench"];
        clippy(&[&packages[..], &["--target", "x86_64-unknown-linux-musl"]].concat())
    }),
    ("clippy (boot stub)", || clippy(&["--package", "coffer-stub", "--target", "x86_64-unknown-uefi"])),
];

/// What needs a program that rustup does not bring: left out, and said so, where that is not installed. Building it takes longer than
/// all the other checks.
const DENY: Check = ("licences and sources of dependencies", || {
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])
});

/// How many checks passed, and how many were left out.
#[derive(Debug, Default, Clone, Copy)]
pub struct Checked {
    pub passed: u32,
    pub skipped: u32,
}

/// Runs every check and fails with those that did.
pub fn main() -> anyhow::Result<ExitCode> {
    let Checked { passed, skipped } = check()?;
    println!("{passed} checks passed, {skipped} skipped");
    Ok(ExitCode::SUCCESS)
}

/// Runs every check that this machine can run.
pub fn check() -> anyhow::Result<Checked> {
    let mut failed = Vec::new();
    let mut passed = 0;
    let has_deny = Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has_deny {
        eprintln!("{}: skipped: cargo-deny is not installed", DENY.0);
    }
    for (name, check) in CHECKS.iter().chain(has_deny.then_some(&DENY)) {
        let step = Step::begin(name);
        match check() {
            Ok(()) => {
                step.done();
                passed += 1;
            }
            Err(error) => {
                step.vanish();
                eprintln!("{name}: {error:#}");
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(Checked { passed, skipped: u32::from(!has_deny) })
}

fn clippy(arguments: &[&str]) -> anyhow::Result<()> {
    let mut all = vec!["clippy", "--locked", "--quiet"];
    all.extend(arguments);
    all.extend(["--", "--deny", "warnings"]);
    cargo(&all)
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    bail!("{}", words.trim());
}
