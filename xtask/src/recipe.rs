//! How the parts of the image are compiled: the one recipe, so that two machines get the same bytes.
//!
//! The flags and their reasons were established by experiment: paths are remapped (panic messages hold them), the linker is
//! the toolchain's own (the host's would leave its version in the layout), time stamps and debug GUIDs of the PE file
//! are off. They travel in `CARGO_ENCODED_RUSTFLAGS`, because a config file cannot expand paths; a bare `cargo build`
//! gives a working binary, not the canonical one.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use coffer_image_builder::sbom::Crate;
use serde_json::Value;

use crate::progress::Step;
use crate::workspace;

/// The release of rustc that the published hashes belong to; distributions' own builds differ in std and LLVM.
const RUSTC_COMMIT: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";

/// What of the caller's environment reaches the build.
const KEPT_VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "CARGO_NET_OFFLINE",
    "CARGO_BUILD_JOBS",
];

/// A binary of the image.
#[derive(Debug)]
pub struct Part {
    /// For people: "the kernel".
    pub title: &'static str,
    package: &'static str,
    target: &'static str,
    file: &'static str,
    flags: &'static [&'static str],
}

/// The kernel: at a fixed virtual address in the top 2 GiB, with frame pointers for back traces.
pub const KERNEL: Part = Part {
    title: "the kernel",
    package: "coffer-kernel",
    target: "x86_64-unknown-none",
    file: "coffer-kernel",
    flags: &[
        "-Crelocation-model=static",
        "-Ccode-model=kernel",
        "-Cforce-frame-pointers=yes",
        "-Ctarget-cpu=x86-64",
        "-Clink-arg=--build-id=none",
    ],
};

/// The UEFI application.
pub const STUB: Part = Part {
    title: "the boot stub",
    package: "coffer-stub",
    target: "x86_64-unknown-uefi",
    file: "coffer-stub.efi",
    // The debug GUID is a hash over object paths; rustc asks for it, and the last word counts.
    flags: &["-Clink-arg=/Brepro", "-Clink-arg=/DEBUG:NONE"],
};

/// PID 1 of the image.
pub const RUNTIME: Part = Part {
    title: "the runtime",
    package: "coffer-init",
    target: "x86_64-unknown-linux-musl",
    file: "init",
    flags: &[
        "-Clinker=rust-lld",
        "-Clinker-flavor=ld.lld",
        "-Clink-self-contained=yes",
        "-Clink-arg=--build-id=none",
        "-Ctarget-cpu=x86-64",
        "-Cstrip=symbols",
    ],
};

/// Asks for a draft: seconds instead of a minute for a change, at the price of slow code and of bytes that are nobody else's.
const DRAFT_VARIABLE: &str = "COFFER_DRAFT";

/// What a draft changes in the release profile.
const DRAFT_PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// Whether the caller's environment asks for a draft.
pub fn is_draft() -> bool {
    env::var_os(DRAFT_VARIABLE).is_some()
}

/// Compiles `part` and gives the file.
pub fn build(part: &Part, step: &Step) -> anyhow::Result<PathBuf> {
    // A folder of its own: the flags differ from those of a bare `cargo build`, which would start over each time.
    let target_dir = workspace::target_folder(if is_draft() { "draft" } else { "image" })?;
    let mut command = Command::new("cargo");
    command
        .args(["build", "--locked", "--release", "--package", part.package, "--target", part.target])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(workspace::root())
        .env_clear()
        .envs(KEPT_VARIABLES.iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .env("CARGO_ENCODED_RUSTFLAGS", encoded_flags(part, &target_dir)?);
    if is_draft() {
        command.envs(DRAFT_PROFILE);
    }
    watch(command, part.title, step)?;
    Ok(target_dir.join(part.target).join("release").join(part.file))
}

/// Fails unless rustc is the one that gives the published hashes.
pub fn check_toolchain() -> anyhow::Result<()> {
    let version = workspace::output_of("rustc", &["-vV"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    ensure!(
        commit == RUSTC_COMMIT,
        "rustc is not the pinned official one: commit {commit}, expected {RUSTC_COMMIT} (rust-toolchain.toml)"
    );
    Ok(())
}

/// The revision of the source: from the environment (`COFFER_REVISION`, for builds outside of a repository), else from git.
pub fn revision() -> String {
    if let Ok(revision) = env::var("COFFER_REVISION") {
        return revision;
    }
    let git = |arguments: &[&str]| workspace::output_of("git", arguments).ok();
    let Some(head) = git(&["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => head,
        _ => format!("{head}-dirty"),
    }
}

/// The crates that end up in the image: those that its parts are linked from, and not those that only build or test them.
pub fn shipped_crates() -> anyhow::Result<BTreeSet<Crate>> {
    crates_of_parts("normal,no-proc-macro")
}

/// The crates that have a say in the image: those that ship, and those that run while its parts are built.
pub fn building_crates() -> anyhow::Result<BTreeSet<Crate>> {
    crates_of_parts(BUILDING)
}

/// Kinds of dependencies: what is linked, and what runs at build time.
const BUILDING: &str = "normal,build";

/// The same for a package that is built for this computer.
#[cfg(test)]
pub fn building_crates_of_host(package: &str) -> anyhow::Result<BTreeSet<Crate>> {
    crates_of(package, "x86_64-unknown-linux-gnu", BUILDING)
}

/// What all parts are made of, by dependencies of the kinds in `edges`.
fn crates_of_parts(edges: &str) -> anyhow::Result<BTreeSet<Crate>> {
    let mut crates = BTreeSet::new();
    for part in [&KERNEL, &STUB, &RUNTIME] {
        crates.append(&mut crates_of(part.package, part.target, edges)?);
    }
    Ok(crates)
}

/// The crates that `cargo tree` reaches from `package`.
fn crates_of(package: &str, target: &str, edges: &str) -> anyhow::Result<BTreeSet<Crate>> {
    let form = ["--edges", edges, "--prefix", "none", "--format", "{p}"];
    let list = workspace::output_of(
        "cargo",
        &[&["tree", "--locked", "--package", package, "--target", target][..], &form].concat(),
    )?;
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.trim_start_matches('v'));
        Some(Crate { name: name.to_owned(), version: version.to_owned() })
    };
    Ok(list.lines().filter_map(read).collect())
}

/// Fails if `bytes` hold a path of this machine: then another machine would get other bytes.
pub fn check_leaks(what: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let own = [workspace::root(), workspace::target(), workspace::cargo_home(), sysroot()?];
    for folder in own.iter().chain(crate_folders()?) {
        let needle = folder.as_os_str().as_encoded_bytes();
        if needle.len() > 1 && bytes.windows(needle.len()).any(|window| window == needle) {
            bail!("{what} holds the path {} of this machine", folder.display());
        }
    }
    Ok(())
}

fn sysroot() -> anyhow::Result<PathBuf> {
    workspace::output_of("rustc", &["--print", "sysroot"]).map(PathBuf::from)
}

fn encoded_flags(part: &Part, target_dir: &Path) -> anyhow::Result<OsString> {
    const SEPARATOR: &str = "\x1f";
    let remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    };
    // The last match wins: the build folder lies inside of the source tree.
    let mut flags = vec![remap(&workspace::root(), "/coffer"), remap(target_dir, "/target")];
    for folder in crate_folders()? {
        flags.push(remap(folder, "/crates"));
    }
    let library = sysroot()?.join("lib/rustlib/src/rust");
    flags.push(remap(&library, &format!("/rustc/{RUSTC_COMMIT}")));
    flags.extend(part.flags.iter().map(OsString::from));
    Ok(flags.join(SEPARATOR.as_ref()))
}

/// The folders that hold crates, each in a folder NAME-VERSION: below cargo's home, or where its configuration says that they were vendored.
/// Asking for them downloads what is missing, so they are known before flags that depend on them are used.
fn crate_folders() -> anyhow::Result<&'static BTreeSet<PathBuf>> {
    static FOLDERS: OnceLock<BTreeSet<PathBuf>> = OnceLock::new();
    if let Some(folders) = FOLDERS.get() {
        return Ok(folders);
    }
    let text = workspace::output_of("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read what cargo metadata says")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    // Without a source, a package is one of ours.
    let foreign = packages.iter().filter(|package| !package["source"].is_null());
    let folders = foreign
        .filter_map(|package| Path::new(package["manifest_path"].as_str()?).ancestors().nth(2))
        .map(Path::to_path_buf)
        .collect();
    Ok(FOLDERS.get_or_init(|| folders))
}

/// Runs cargo with its words in the progress line; shows all of them if it fails.
fn watch(mut command: Command, title: &str, step: &Step) -> anyhow::Result<()> {
    let mut cargo = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut words = String::new();
    if let Some(stderr) = cargo.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line.context("cannot read what cargo says")?;
            // Warnings are for `lint`; here they would only flicker.
            if ["Compiling", "Downloading", "Downloaded"]
                .iter()
                .any(|word| line.trim_start().starts_with(word))
            {
                step.detail(line.trim());
            }
            words.push_str(&line);
            words.push('\n');
        }
    }
    if !cargo.wait().context("cannot wait for cargo")?.success() {
        step.vanish();
        bail!("{title} does not build:\n{}", words.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::{STUB, check_leaks, encoded_flags};
    use crate::workspace;

    /// What rustc makes of a source in `folder` whose panic message holds its path.
    fn compiled(folder: &Path, flags: &[&str]) -> Vec<u8> {
        let (source, object) = (folder.join("leak.rs"), folder.join("leak.o"));
        fs::write(&source, "#![no_std]\n#[inline(never)]\npub fn leak(values: &[u8], index: usize) -> u8 { values[index] }\n")
            .unwrap();
        let mut rustc = Command::new("rustc");
        rustc.args(["--crate-type=lib", "--edition=2024", "-O", "--emit=obj", "-o"]).arg(&object).args(flags);
        assert!(rustc.arg(&source).status().unwrap().success());
        fs::read(object).unwrap()
    }

    #[test]
    fn a_path_that_leaks_is_found_and_the_recipe_lets_none_leak() {
        let target = workspace::target_folder("tmp").unwrap();
        let folder = tempfile::tempdir_in(&target).unwrap();
        let error = check_leaks("the kernel", &compiled(folder.path(), &[])).unwrap_err().to_string();
        assert!(error.starts_with("the kernel holds the path /"), "{error}");

        let flags = encoded_flags(&STUB, &target).unwrap().into_string().unwrap();
        let remaps: Vec<&str> =
            flags.split('\x1f').filter(|flag| flag.starts_with("--remap-path-prefix=")).collect();
        assert!(!remaps.is_empty());
        check_leaks("the kernel", &compiled(folder.path(), &remaps)).unwrap();
    }
}
