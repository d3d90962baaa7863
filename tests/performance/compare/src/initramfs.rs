//! Archives that the kernels unpack as their first root file system.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use cpio::newc::{self, Builder};

/// The static program that measures, from `tests/performance/guest`.
const PROGRAM: &str = "coffer-ubench";
const TARGET: &str = "x86_64-unknown-linux-musl";

/// An archive in memory (cpio(5), "newc").
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<PathBuf>,
}

impl Initramfs {
    /// A folder, and those above it.
    pub fn folder(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.as_os_str().is_empty() || !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        self.entry(path, 0o040_755, None, &[])
    }

    /// A program.
    pub fn program(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.folder(Path::new(path).parent().unwrap_or(Path::new("")))?;
        self.entry(Path::new(path), 0o100_755, None, bytes)
    }

    /// `/dev/console`, which `/init` speaks through.
    pub fn console(&mut self) -> anyhow::Result<()> {
        self.folder(Path::new("dev"))?;
        self.entry(Path::new("dev/console"), 0o020_600, Some((5, 1)), &[])
    }

    /// A program of this machine's with the libraries that it is linked to, under their own names.
    pub fn linked_program(&mut self, program: &Path) -> anyhow::Result<()> {
        let listed = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
        ensure!(listed.status.success(), "ldd does not know {}", program.display());
        let libraries = String::from_utf8_lossy(&listed.stdout).into_owned();
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
        for file in libraries.chain([program]) {
            let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            self.program(&file.to_string_lossy()[1..], &bytes)?;
        }
        Ok(())
    }

    /// Modules of the kernel, numbered in the order in which they are to be loaded.
    pub fn modules(&mut self, modules: &[PathBuf]) -> anyhow::Result<()> {
        for (number, module) in (1..).zip(modules) {
            let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
            self.program(&format!("module{number}.ko"), &bytes)?;
        }
        Ok(())
    }

    /// Ends the archive and writes it.
    pub fn write(mut self, path: &Path) -> anyhow::Result<()> {
        newc::trailer(&mut self.bytes).context("cannot make an initramfs")?;
        fs::write(path, self.bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn entry(
        &mut self,
        path: &Path,
        mode: u32,
        device: Option<(u32, u32)>,
        bytes: &[u8],
    ) -> anyhow::Result<()> {
        self.entries += 1;
        let mut header = Builder::new(&path.to_string_lossy()).ino(self.entries).mode(mode).nlink(1);
        if let Some((major, minor)) = device {
            header = header.rdev_major(major).rdev_minor(minor);
        }
        let write = |archive: &mut Vec<u8>| -> io::Result<()> {
            let mut writer = header.write(archive, u32::try_from(bytes.len()).map_err(io::Error::other)?);
            writer.write_all(bytes)?;
            writer.finish().map(drop)
        };
        write(&mut self.bytes).context("cannot make an initramfs")
    }
}

/// An archive with the program that measures as `/init`.
pub fn with_program() -> anyhow::Result<Initramfs> {
    let program = build()?;
    let init = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut archive = Initramfs::default();
    archive.console()?;
    archive.program("init", &init)?;
    Ok(archive)
}

/// The static busybox of this machine.
pub fn busybox() -> anyhow::Result<Vec<u8>> {
    const BUSYBOX: &str = "/bin/busybox";
    fs::read(BUSYBOX).with_context(|| format!("{BUSYBOX} is missing: it is in the package busybox-static"))
}

fn build() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--release", "--package", PROGRAM, "--target", TARGET])
        .args(["--config", "profile.release.strip=\"symbols\""])
        .current_dir(&root)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{PROGRAM} does not build");
    Ok(root.join("target").join(TARGET).join("release").join(PROGRAM))
}
