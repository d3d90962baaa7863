//! A build in a hostile place: everything that could leak into the image is another.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Outputs;
use crate::progress::Step;
use crate::{recipe, workspace};

/// `nobody`, whom every Debian has, and who has neither a home nor a shell.
const OTHER_USER: u32 = 65_534;

/// Builds there.
pub fn build() -> anyhow::Result<Outputs> {
    let step = Step::begin("building elsewhere");
    // Below the folder for temporary files, because others may not be let into the one that the source is in.
    let place = tempfile::Builder::new()
        .prefix("coffer built elsewhere, ")
        .tempdir()
        .context("cannot make a temporary folder")?;
    let folder = |name: &str| place.path().join(name);
    let source = folder("a source/tree");
    copy_source(&source)?;

    step.detail("vendoring crates");
    vendor(&folder("crates"), &folder("cargo home"))?;
    let toolchain = folder("toolchain");
    copy_toolchain(&toolchain)?;
    for name in ["home", "temporary"] {
        fs::create_dir(folder(name)).with_context(|| format!("cannot make the folder {name}"))?;
    }

    step.detail("cargo xtask image");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [toolchain.join("bin")].into_iter().chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec cargo xtask image"])
        .current_dir(&source)
        .env_clear()
        .env("PATH", std::env::join_paths(paths).context("a folder of the PATH has a colon in it")?)
        .env("HOME", folder("home"))
        .env("TMPDIR", folder("temporary"))
        .env("CARGO_HOME", folder("cargo home"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_BUILD_JOBS", "1")
        .env("COFFER_REVISION", recipe::revision())
        .envs([("TZ", "Pacific/Kiritimati"), ("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8")]);
    if rustix::process::geteuid().is_root() {
        let owner = format!("{OTHER_USER}:{OTHER_USER}");
        run(Command::new("chown").args(["-R", &owner]).arg(place.path()))?;
        command.uid(OTHER_USER).gid(OTHER_USER);
    }
    run(&mut command)?;
    let outputs = super::read_outputs(&source.join("target"))?;
    step.done();
    Ok(outputs)
}

/// Copies what git would know: files that are tracked, or new and not ignored.
fn copy_source(to: &Path) -> anyhow::Result<()> {
    let list =
        workspace::output_of("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (workspace::root().join(name), to.join(name));
        // Deleted but not yet committed.
        if !from.exists() {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

/// Puts all crates into `crates`, and into a new home of cargo's the word that they are there.
fn vendor(crates: &Path, home: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cargo");
    command.args(["vendor", "--quiet", "--locked", "--versioned-dirs"]).arg(crates);
    run(command.current_dir(workspace::root()))?;
    fs::create_dir(home).context("cannot make a home for cargo")?;
    // A path is TOML if it is a JSON string.
    let folder =
        serde_json::to_string(crates).context("the folder for temporary files has no printable name")?;
    let configuration =
        format!("[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = {folder}\n");
    fs::write(home.join("config.toml"), configuration).context("cannot write cargo's configuration")
}

/// Copies the part of the toolchain that builds: who builds there may not be let into this user's home.
fn copy_toolchain(to: &Path) -> anyhow::Result<()> {
    let sysroot = PathBuf::from(workspace::output_of("rustc", &["--print", "sysroot"])?);
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    // Documentation, which is half of it, stays behind.
    run(Command::new("cp").arg("-a").args(["bin", "lib"].map(|name| sysroot.join(name))).arg(to))
}

/// Runs a program that must succeed; shows what it says if it does not.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed:\n{}", words.trim_end());
    Ok(())
}
