//! `coffer-image-builder`: the library's one step from files to files, for use without xtask.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use coffer_image_builder::{Ingredients, build, elf};

/// Assemble coffer.efi, coffer.raw and initramfs.cpio from built files.
#[derive(Debug, Parser)]
struct Arguments {
    /// The boot stub (a UEFI application).
    #[arg(long)]
    stub: PathBuf,
    /// The kernel ELF as linked; symbols are dropped.
    #[arg(long)]
    kernel: PathBuf,
    /// The runtime, which becomes /init.
    #[arg(long)]
    init: PathBuf,
    /// The built-in command line.
    #[arg(long, default_value = "")]
    command_line: String,
    /// The folder to write to.
    #[arg(long, default_value = ".")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let image = build(&Ingredients {
        stub: &read(&arguments.stub)?,
        kernel: &elf::strip(&read(&arguments.kernel)?)?,
        init: &read(&arguments.init)?,
        command_line: &arguments.command_line,
        version: env!("CARGO_PKG_VERSION"),
    })?;
    for (name, bytes) in
        [("initramfs.cpio", &image.initramfs), ("coffer.efi", &image.uki), ("coffer.raw", &image.disk)]
    {
        let path = arguments.out.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
