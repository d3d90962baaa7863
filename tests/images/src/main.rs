//! `coffer-images NAME [FOLDER]` writes a test image as an OCI layout, for use by hand with `cargo xtask run`.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use coffer_images::{broken, debian, small};

/// Where images are kept that no folder was named for.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/images");

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        eprintln!(
            "usage: coffer-images NAME [FOLDER]; NAME: busybox, layered, {}, all of those with packages (all), \
             or a broken one's name",
            debian::ALL.map(|recipe| recipe.name).join(", ")
        );
        return ExitCode::from(2);
    };
    match make(&name, arguments.next().map(PathBuf::from)) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("coffer-images: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(name: &str, folder: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let cache = Path::new(CACHE);
    let recipes = match name {
        "all" => debian::ALL.to_vec(),
        _ => debian::ALL.into_iter().filter(|recipe| recipe.name == name).collect(),
    };
    if let [first, ..] = recipes.as_slice() {
        let cache = folder.as_deref().unwrap_or(cache);
        debian::assemble_all(&recipes, cache)?;
        return Ok(if name == "all" { cache.to_owned() } else { first.folder(cache) });
    }
    let files = match name {
        "busybox" => small::busybox()?.layout()?,
        "layered" => small::layered()?.layout()?,
        _ => match broken::all()?.into_iter().find(|image| image.name == name) {
            Some(image) => image.files,
            None => bail!("no image is called {name}"),
        },
    };
    let folder = folder.unwrap_or_else(|| cache.join(name));
    files.write_folder(&folder)?;
    Ok(folder)
}
