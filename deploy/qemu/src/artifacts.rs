//! What `cargo xtask image` leaves in the folder that it builds into: the names, in one place, and how to boot from them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Boot, DEBUG_EXIT_PORT, Error};

/// The folder with the files of one build.
#[derive(Debug, Clone)]
pub struct Artifacts(PathBuf);

impl Artifacts {
    /// The files in `folder` (usually `target`).
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The kernel as it stands in the UKI, which also boots directly.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.0.join("coffer-kernel.elf")
    }

    /// The same kernel with symbols and debug information.
    #[must_use]
    pub fn kernel_debug(&self) -> PathBuf {
        self.0.join("coffer-kernel.debug")
    }

    /// The initramfs as it stands in the UKI.
    #[must_use]
    pub fn initramfs(&self) -> PathBuf {
        self.0.join("initramfs.cpio")
    }

    /// The command line as it stands in the UKI, image hash included.
    #[must_use]
    pub fn command_line(&self) -> PathBuf {
        self.0.join("coffer.cmdline")
    }

    /// The unified kernel image.
    #[must_use]
    pub fn uki(&self) -> PathBuf {
        self.0.join("coffer.efi")
    }

    /// The bootable disk.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.0.join("coffer.raw")
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Boots under firmware from the disk.
    #[must_use]
    pub fn boot_from_disk(&self) -> Boot {
        Boot::Firmware { disk: self.disk() }
    }

    /// Boots kernel and initramfs directly, with the UKI's command line and `further` options.
    ///
    /// # Errors
    /// If there is no image.
    pub fn boot_directly(&self, further: &str) -> Result<Boot, Error> {
        let line = fs::read_to_string(self.command_line())
            .map_err(Error::system("read the image's command line (`cargo xtask image` builds it)"))?;
        Ok(Boot::Direct {
            kernel: self.kernel(),
            initramfs: Some(self.initramfs()),
            command_line: format!("{line} coffer.debug_exit={DEBUG_EXIT_PORT:#x} {further}")
                .trim_end()
                .to_owned(),
        })
    }
}
