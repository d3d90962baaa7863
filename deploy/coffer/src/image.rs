//! The image that a machine boots: a disk that the user names, or what `cargo xtask image` has built.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, bail};
use coffer_image_builder::inspect::inspect;
use coffer_qemu::{Artifacts, Boot};

/// What a machine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Platform {
    /// QEMU on this computer, with UEFI firmware, from the disk image: as on a cloud.
    Qemu,
    /// The same as a domain of libvirt's, in the caller's own session (qemu:///session).
    Libvirt,
    /// A trust domain on a simulated TDX module, a tool of Coffer's tests: what one does, on any computer, with none of its protection.
    TdxSimulator,
}

/// An image, and how it is booted.
#[derive(Debug)]
pub enum Image {
    /// By QEMU, with the file that stands for it.
    Boots(Boot, PathBuf),
    /// By a loader of trust domains: the unified kernel image.
    Measured(PathBuf),
}

impl Image {
    /// The file that stands for it.
    pub fn into_file(self) -> PathBuf {
        match self {
            Self::Boots(_, file) | Self::Measured(file) => file,
        }
    }
}

/// How to boot, and which file stands for it. Without a platform, the fastest way that there is: the kernel directly, where it was built
/// here.
pub fn find(named: Option<&Path>, platform: Option<Platform>) -> anyhow::Result<Image> {
    if let Some(path) = named {
        let path =
            path.canonicalize().with_context(|| format!("cannot find the image {}", path.display()))?;
        return match built(&path, platform)? {
            Some(image) => Ok(image),
            None if path.is_dir() => bail!("there is no image in {}", path.display()),
            None if platform == Some(Platform::TdxSimulator) => Ok(Image::Measured(path)),
            None => {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                inspect(&bytes).with_context(|| format!("{} is no image of Coffer", path.display()))?;
                Ok(Image::Boots(Boot::Firmware { disk: path.clone() }, path))
            }
        };
    }
    for folder in folders() {
        if let Some(image) = built(&folder, platform)? {
            return Ok(image);
        }
    }
    bail!("no image is built here: name one with --image, or build it (`cargo xtask image`)")
}

/// What a build has left in this folder, if it has.
fn built(folder: &Path, platform: Option<Platform>) -> anyhow::Result<Option<Image>> {
    let artifacts = Artifacts::at(folder);
    Ok(if platform == Some(Platform::TdxSimulator) {
        artifacts.uki().exists().then(|| Image::Measured(artifacts.uki()))
    } else if platform.is_none() && artifacts.kernel().exists() && artifacts.initramfs().exists() {
        Some(Image::Boots(artifacts.boot_directly("")?, artifacts.uki()))
    } else if artifacts.disk().exists() {
        Some(Image::Boots(artifacts.boot_from_disk(), artifacts.disk()))
    } else {
        None
    })
}

/// Where builds leave images: `target` of the source tree that this program was built in or that it is called in.
fn folders() -> Vec<PathBuf> {
    let program = env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    let beside = program.ancestors().skip(1).take(2).map(Path::to_path_buf);
    beside.chain(env::current_dir().map(|folder| folder.join("target"))).collect()
}
