//! A build in Nix's sandbox: another user, no network, nothing of the host but what the derivation names (nix/README.md).
//!
//! The store is a folder below the one for everything that is built, which any user can have; the host's own /nix, if there is one, is left
//! alone. What was built once from the same source is not built again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Outputs;
use crate::progress::Step;
use crate::{recipe, workspace};

/// Strict: never without the sandbox, never from elsewhere. It overrides what the user has configured.
const CONFIGURATION: &str = "experimental-features = nix-command flakes
substituters =
sandbox = true
sandbox-fallback = false
flake-registry = /dev/null
";

/// The folder that holds the store.
pub fn store() -> PathBuf {
    workspace::target().join("nixstore")
}

/// Builds there.
pub fn build() -> anyhow::Result<Outputs> {
    super::read_outputs(&build_attribute("image", "building in Nix's sandbox")?)
}

/// Builds the host CLI there, which says its version at the end. Its bytes are nobody's concern: it holds the work of the C compiler at hand.
pub fn build_host_cli() -> anyhow::Result<()> {
    let folder = build_attribute("coffer", "building the host CLI in Nix's sandbox")?;
    ensure!(folder.join("bin/coffer").exists(), "there is no bin/coffer in {}", folder.display());
    Ok(())
}

/// Builds one of the derivations of nix/image.nix, and gives the folder with what came of it.
fn build_attribute(name: &str, title: &str) -> anyhow::Result<PathBuf> {
    let step = Step::begin(title);
    let tools = workspace::target().join("nix-host");
    step.detail("importing the host's tools");
    script("nix/host/import.sh", &tools)?;
    step.detail("importing crates");
    script("nix/host/seed-crates.sh", &store())?;
    step.detail("evaluating the flake");
    check_flake(&tools)?;

    step.detail("nix-build");
    let mut command = nix("nix-build");
    command.args(["--no-out-link", "-A", name, "--argstr", "revision", &recipe::revision()]);
    command.args(["--argstr", "root"]).arg(&tools);
    let output = command.output().context("cannot start nix-build")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nix-build failed:\n{}", words.trim_end());
    let path = String::from_utf8(output.stdout).context("nix-build printed no path")?;
    // In the store's own eyes it lies at /nix/store.
    let folder = store().join(path.trim().trim_start_matches('/'));
    step.done();
    Ok(folder)
}

/// Evaluates every output of the flake, with the host's files in place of its inputs, which are on the internet.
fn check_flake(tools: &Path) -> anyhow::Result<()> {
    let path = |folder: &Path| {
        let mut reference = OsString::from("path:");
        reference.push(folder);
        reference
    };
    let mut command = nix("nix");
    command.args(["flake", "check", ".", "--no-build", "--offline", "--no-write-lock-file"]);
    for input in ["nixpkgs", "rust-overlay"] {
        let stand_in = path(&workspace::root().join("nix/host"));
        command.args(["--override-input", input]).arg(stand_in);
        command.args(["--override-input", &format!("{input}/host")]).arg(path(tools));
    }
    let output = command.output().context("cannot start nix")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the flake does not evaluate:\n{}", words.trim_end());
    Ok(())
}

/// A program of Nix's, on our store.
fn nix(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null()).env("NIX_CONFIG", CONFIGURATION);
    // As root, Nix would ask for users to build as; in a store of one's own there is no need of them.
    command.arg("--store").arg(store()).args(["--option", "build-users-group", ""]);
    command
}

fn script(name: &str, argument: &Path) -> anyhow::Result<()> {
    let output = Command::new("sh")
        .arg(name)
        .arg(argument)
        .current_dir(workspace::root())
        .env("NIX_CONFIG", CONFIGURATION)
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", words.trim_end());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::workspace;

    /// What the sandbox has in place of a C compiler.
    fn driver(arguments: &[&str]) -> (bool, String) {
        let script = workspace::root().join("nix/host/link-only-cc.sh");
        let output = Command::new("sh").arg(script).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn c_code_ends_the_build_in_the_sandbox() {
        for arguments in [&["-c", "curve25519.c", "-o", "curve25519.o"][..], &["-O3", "aes.S"], &["-E", "-"]]
        {
            let (is_built, words) = driver(arguments);
            assert!(!is_built && words.contains("there is no C compiler here"), "{arguments:?}: {words}");
        }
    }
}
