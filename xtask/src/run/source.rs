//! The image that a container is run from: found, checked as far as that is cheap, and made into a disk.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use coffer_harness::images;
use runtime_image::{Bundle, Image, Selection};

use crate::progress::Step;
use crate::{packages, setup, workspace};

/// The file that a folder is written to.
pub const SCRATCH_DISK: &str = "image.tar";

/// A checked image.
#[derive(Debug)]
pub enum Source {
    /// An OCI layout folder.
    Folder(PathBuf),
    /// A tar that is attached as it is.
    Archive(PathBuf),
}

/// Finds the image called `name`, or the one that is there without a name, and checks metadata and platform with the code that
/// the machine will use. Layers are checked by the machine, while it unpacks them.
pub fn find(name: Option<&str>, reference: Option<&str>, step: &mut Step) -> anyhow::Result<Source> {
    let path = match name {
        Some(name) => PathBuf::from(name),
        None => default_image(step)?,
    };
    if !path.exists() {
        if name.is_some_and(|name| name.starts_with('-')) {
            bail!("image {}: no such file or folder (options stand before `--`)", path.display());
        }
        bail!("image {}: no such file or folder", path.display());
    }
    let in_image = || format!("image {}", path.display());
    let bundle = if path.is_dir() {
        Bundle::Folder(path.clone())
    } else {
        Bundle::archive(File::open(&path).with_context(in_image)?).with_context(in_image)?
    };
    let selection = Selection { reference: reference.map(str::to_owned) };
    Image::open(bundle, &selection).with_context(in_image)?;
    Ok(if path.is_dir() { Source::Folder(path) } else { Source::Archive(path) })
}

fn default_image(step: &mut Step) -> anyhow::Result<PathBuf> {
    let cache = workspace::target_folder("images")?;
    if !images::DEBIAN.is_assembled(&cache) {
        setup::ensure_met(&[packages::IMAGES])?;
        step.rename("assembling a small Debian image");
    }
    Ok(images::DEBIAN.assemble(&cache)?)
}

impl Source {
    /// The file to attach; a folder is written as a tar below `scratch`.
    pub fn disk(&self, scratch: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Archive(path) => Ok(path.clone()),
            Self::Folder(path) => {
                let disk = scratch.join(SCRATCH_DISK);
                write_tar(path, &disk)
                    .with_context(|| format!("cannot write {} to {}", path.display(), disk.display()))?;
                Ok(disk)
            }
        }
    }
}

/// Writes the files below `folder`, in the order of their names and without their times.
fn write_tar(folder: &Path, disk: &Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(File::create(disk)?);
    let mut names = Vec::new();
    list(folder, Path::new(""), &mut names)?;
    names.sort();
    for name in names {
        let mut file = File::open(folder.join(&name))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.seek(io::SeekFrom::End(0))?);
        header.set_mode(0o644);
        header.set_mtime(0);
        file.rewind()?;
        archive.append_data(&mut header, &name, file)?;
    }
    archive.into_inner()?.flush()
}

fn list(folder: &Path, below: &Path, names: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.join(below).read_dir()? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        // A symbolic link is followed: layouts that share blobs have them.
        if entry.path().is_dir() {
            list(folder, &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::write_tar;

    #[test]
    fn a_folder_becomes_the_same_tar_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::write(layout.join("oci-layout"), b"{}").unwrap();
        fs::write(layout.join("blobs/sha256/aa"), b"blob").unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        write_tar(&layout, &one).unwrap();
        write_tar(&layout, &two).unwrap();
        let bytes = fs::read(&one).unwrap();
        assert!(bytes == fs::read(&two).unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, ["blobs/sha256/aa".into(), std::path::PathBuf::from("oci-layout")]);
    }
}
