//! `cargo xtask image`: compiles the parts and assembles `coffer.efi` and `coffer.raw`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use coffer_harness::Artifacts;
use coffer_image_builder::{Ingredients, build, elf};

use crate::progress::Step;
use crate::recipe::{self, KERNEL, Part, RUNTIME, STUB};
use crate::{setup, workspace};

/// The command line that is part of the measured image.
const COMMAND_LINE: &str = "";

/// Builds the image and says where it is.
pub fn main() -> anyhow::Result<ExitCode> {
    setup::ensure_met(&[])?;
    recipe::check_toolchain()?;
    let image = make()?;
    for path in [image.uki(), image.disk(), image.kernel(), image.initramfs()] {
        let size = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        println!("{} {:.1} MiB", path.display(), size as f64 / f64::from(1 << 20));
    }
    println!("{}", String::from_utf8(read(&image.command_line())?)?);
    Ok(ExitCode::SUCCESS)
}

/// Builds the image.
pub fn make() -> anyhow::Result<Artifacts> {
    let mut step = Step::begin(if recipe::is_draft() { "building a draft" } else { "building" });
    let kernel_linked = compile(&KERNEL, &mut step)?;
    let stub = compile(&STUB, &mut step)?;
    let runtime = compile(&RUNTIME, &mut step)?;

    step.rename("assembling the image");
    let linked = read(&kernel_linked)?;
    let kernel = elf::strip(&linked)?;
    let stub = read(&stub)?;
    let init = read(&runtime)?;
    for (part, bytes) in [(&KERNEL, &kernel), (&STUB, &stub), (&RUNTIME, &init)] {
        recipe::check_leaks(part.title, bytes)?;
    }
    let built = build(&Ingredients {
        stub: &stub,
        kernel: &kernel,
        init: &init,
        command_line: COMMAND_LINE,
        version: env!("CARGO_PKG_VERSION"),
    })?;
    let image = Artifacts::at(workspace::target());
    write(&image.kernel(), &kernel)?;
    write(&image.kernel_debug(), &linked)?;
    write(&image.initramfs(), &built.initramfs)?;
    write(&image.command_line(), built.command_line.as_bytes())?;
    write(&image.uki(), &built.uki)?;
    write(&image.disk(), &built.disk)?;
    step.rename(if recipe::is_draft() { "image (a draft)" } else { "image" });
    step.done();
    Ok(image)
}

fn compile(part: &Part, step: &mut Step) -> anyhow::Result<PathBuf> {
    step.rename(&format!("building {}", part.title));
    recipe::build(part, step)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Replaces the file by a rename, so that a machine which still runs from the old one is not disturbed; leaves it alone where
/// nothing changed.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let new = path.with_added_extension("new");
    fs::write(&new, bytes).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("cannot replace {}", path.display()))
}
