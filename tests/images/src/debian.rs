//! Images assembled by mmdebstrap, and what the host says of their contents.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use coffer_harness::images::Recipe;
use sha2::{Digest as _, Sha256};

pub use coffer_harness::images::DEBIAN;

/// Debian with the whole standard library of Python.
pub const PYTHON: Recipe = Recipe { name: "python3", packages: &["python3"], command: &["python3"] };

/// The tar of an image, which is what a machine is given; the image is assembled first if it is not there.
///
/// # Errors
/// If mmdebstrap is missing or fails, or a file cannot be written.
pub fn archive(recipe: &Recipe, cache: &Path) -> anyhow::Result<PathBuf> {
    let path = cache.join(format!("{}.tar", recipe.name));
    if path.exists() {
        return Ok(path);
    }
    let folder = recipe.assemble(cache)?;
    let draft = cache.join(format!("{}.tar.draft", recipe.name));
    let write = || -> std::io::Result<()> {
        let mut tar = tar::Builder::new(File::create(&draft)?);
        tar.mode(tar::HeaderMode::Deterministic);
        tar.append_dir_all(".", &folder)?;
        tar.into_inner()?.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// What `find / -xdev -type f | xargs sha256sum | sort | tail -1` prints in a container of this image, by the host's own
/// reading of the layer.
///
/// # Errors
/// If the image is not there or cannot be read.
pub fn last_checksum(recipe: &Recipe, cache: &Path) -> anyhow::Result<String> {
    let blobs = recipe.assemble(cache)?.join("blobs/sha256");
    let mut layer = None;
    for entry in fs::read_dir(&blobs).context("cannot list the image's blobs")? {
        let entry = entry.context("cannot list the image's blobs")?;
        let size = entry.metadata().context("cannot look at a blob")?.len();
        layer = layer.max(Some((size, entry.path())));
    }
    // The layer is by far the largest of the three files.
    let (_, layer) = layer.context("the image has no blobs")?;
    let mut checksums = BTreeMap::new();
    let mut archive = tar::Archive::new(File::open(&layer).context("cannot open the layer")?);
    for entry in archive.entries().context("cannot read the layer")? {
        let mut entry = entry.context("cannot read the layer")?;
        let path =
            format!("/{}", entry.path().context("an entry without a path")?.display()).replace("/./", "/");
        let kind = entry.header().entry_type();
        if kind.is_hard_link() {
            let target = entry.link_name().context("a link without a target")?.unwrap_or_default();
            let target = format!("/{}", target.display()).replace("/./", "/");
            let checksum =
                checksums.get(&target).cloned().with_context(|| format!("no {target} before {path}"))?;
            checksums.insert(path, checksum);
        } else if kind.is_file() {
            checksums.insert(path, checksum(&mut entry)?);
        }
    }
    let lines = checksums.iter().map(|(path, checksum)| format!("{checksum}  {path}"));
    lines.max().context("the layer has no files")
}

fn checksum(reader: &mut impl Read) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = reader.read(&mut buffer).context("cannot read the layer")?;
        if len == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..len]);
    }
}
