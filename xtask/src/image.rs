//! `cargo xtask image`: compiles the parts and assembles `coffer.efi` and `coffer.raw`, then what clouds import and the manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use coffer_harness::Artifacts;
use coffer_image_builder::format::Format;
use coffer_image_builder::manifest::{Manifest, Source};
use coffer_image_builder::sbom::Sbom;
use coffer_image_builder::{Image, Ingredients, build, elf};

use crate::progress::Step;
use crate::recipe::{self, KERNEL, Part, RUNTIME, STUB};
use crate::{setup, workspace};

/// The command line that is part of the measured image.
const COMMAND_LINE: &str = "";

/// The unified kernel image.
const UKI: &str = "coffer.efi";
/// What says what the outputs are.
const MANIFEST: &str = "manifest.json";

/// The names of everything that is published.
pub fn output_names() -> impl Iterator<Item = &'static str> {
    [UKI].into_iter().chain(Format::ALL.map(Format::file_name)).chain([MANIFEST])
}

/// Builds the image and says where it is.
pub fn main() -> anyhow::Result<ExitCode> {
    setup::ensure_met(&[])?;
    let (image, command_line) = publish()?;
    let outputs = output_names().map(|name| image.folder().join(name));
    for path in [image.kernel(), image.initramfs()].into_iter().chain(outputs) {
        let size = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        println!("{} {:.1} MiB", path.display(), size as f64 / f64::from(1 << 20));
    }
    println!("{command_line}");
    Ok(ExitCode::SUCCESS)
}

/// Builds the image and writes every output; gives the command line, too.
pub fn publish() -> anyhow::Result<(Artifacts, String)> {
    recipe::check_toolchain()?;
    let (image, built) = assemble()?;
    let mut outputs = vec![(image.uki(), built.image.uki.clone())];
    let step = Step::begin("writing the disk in every form");
    for format in Format::ALL {
        outputs.push((workspace::target().join(format.file_name()), format.write(&built.image.disk)?));
    }
    for (path, bytes) in &outputs {
        write(path, bytes)?;
    }
    write(&workspace::target().join(MANIFEST), describe(&built, &outputs)?.to_json()?.as_bytes())?;
    step.done();
    Ok((image, built.image.command_line))
}

/// An assembled image, and what went into it.
struct Built {
    image: Image,
    stub: Vec<u8>,
    kernel: Vec<u8>,
    runtime: Vec<u8>,
}

/// The manifest of what was built.
fn describe(built: &Built, outputs: &[(PathBuf, Vec<u8>)]) -> anyhow::Result<Manifest> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let source = Source {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: recipe::revision(),
        sbom: Sbom::new(&lock, &recipe::shipped_crates()?)?,
    };
    let components = [
        ("stub", built.stub.as_slice()),
        ("kernel", &built.kernel),
        ("runtime", &built.runtime),
        ("initramfs", &built.image.initramfs),
    ];
    let outputs: Vec<(&str, &[u8])> = outputs
        .iter()
        .map(|(path, bytes)| {
            let name = path.file_name().and_then(|name| name.to_str()).context("an output without a name")?;
            Ok((name, bytes.as_slice()))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Manifest::new(source, &built.image, &components, &outputs)?)
}

/// Builds the image.
pub fn make() -> anyhow::Result<Artifacts> {
    assemble().map(|(artifacts, _)| artifacts)
}

fn assemble() -> anyhow::Result<(Artifacts, Built)> {
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
    Ok((image, Built { image: built, stub, kernel, runtime: init }))
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
