//! Builds the shared object that processes see, out of the library's own sources, with the toolchain's compiler and linker: the
//! kernel's flags (static relocation, kernel code model) do not fit it, so cargo cannot build it along the way.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "x86_64-unknown-none";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(vdso_image)");
    for input in ["build.rs", "src", "image.ld"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let (object, image) = (out.join("vdso.o"), out.join("vdso.so"));
    compile(&source, &object)?;
    link(&source, &object, &image)?;
    // The kernel maps one page.
    let len = fs::metadata(&image)?.len();
    if len > 4096 {
        return Err(format!("the vDSO has grown to {len} bytes, more than a page").into());
    }
    Ok(())
}

/// The entries as one object. Unwind tables let a debugger walk through them; nothing may panic, or it would not link.
fn compile(source: &Path, object: &Path) -> Result<(), Box<dyn Error>> {
    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("RUSTC is not set")?);
    rustc
        .args(["--crate-name", "vdso", "--crate-type", "lib", "--edition", "2024", "--emit", "obj"])
        .args(["--target", TARGET, "--cfg", "vdso_image"])
        .args(["-Crelocation-model=pic", "-Ccode-model=small", "-Ctarget-cpu=x86-64", "-Cpanic=abort"])
        .args(["-Copt-level=2", "-Ccodegen-units=1", "-Cdebuginfo=0", "-Coverflow-checks=off"])
        .args(["-Cforce-unwind-tables=yes", "-Dwarnings"])
        .arg(format!("--remap-path-prefix={}=/coffer", source.display()))
        .arg("-o")
        .arg(object)
        .arg(source.join("src/lib.rs"));
    run(rustc)
}

fn link(source: &Path, object: &Path, image: &Path) -> Result<(), Box<dyn Error>> {
    let mut lld = Command::new(linker()?);
    lld.args(["-flavor", "gnu", "-shared", "-soname", "linux-vdso.so.1", "--no-undefined", "-z", "text"])
        .args([
            "--hash-style=both",
            "--build-id=none",
            "-z",
            "rodynamic",
            "-z",
            "norelro",
            "-z",
            "nognustack",
        ])
        .args(["-z", "max-page-size=4096", "--eh-frame-hdr", "--gc-sections", "--strip-all", "-O2"])
        .arg("-T")
        .arg(source.join("image.ld"))
        .arg("-o")
        .arg(image)
        .arg(object);
    run(lld)
}

/// The linker that comes with the compiler, so that no host tool has a say in the bytes.
fn linker() -> Result<PathBuf, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").ok_or("RUSTC is not set")?;
    let host = env::var("HOST")?;
    let output = Command::new(rustc).args(["--print", "sysroot"]).output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    Ok(sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"))
}

fn run(mut command: Command) -> Result<(), Box<dyn Error>> {
    // The flags of the crate that is being built are not for this one.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let program = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("cannot start {program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}").into()) }
}
