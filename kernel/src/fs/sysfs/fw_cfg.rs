//! /sys/firmware/qemu_fw_cfg: files that the host hands over, as Linux shows them (Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg).
//!
//! Of QEMU's own files, which are the firmware's, none is shown: only those that its user has given, which begin with `opt/`. A trust domain has
//! none of them.

use crate::error::{Errno, Result};
use crate::fs::synthetic::{Directory, Source, Text};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::fw_cfg::{self, File};

/// How names of files for the guest's own use begin.
const FOR_THE_GUEST: &str = "opt/";

/// The longest file that is shown, in bytes: each takes a visit to the host.
const MAX_LEN: u32 = 256 << 10;

/// Fills /sys/firmware, if the host has such files.
pub fn fill(firmware: &Arc<Directory>) {
    let is_shown = |file: &File| file.name.starts_with(FOR_THE_GUEST) && file.len <= MAX_LEN && is_path(file);
    for file in fw_cfg::files().into_iter().filter(is_shown) {
        let top = firmware.subdirectory("qemu_fw_cfg");
        let entry = top.subdirectory("by_key").subdirectory(&format!("{}", file.key));
        entry.file("name", 0o400, format!("{}\n", file.name));
        entry.file("size", 0o400, format!("{}\n", file.len));
        entry.file("key", 0o400, format!("{}\n", file.key));
        entry.file("raw", 0o400, Raw(file.clone()));
        let (folders, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let mut folder = top.subdirectory("by_name");
        let mut up = String::from("..");
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = folder.subdirectory(part);
            up.push_str("/..");
        }
        folder.link(name, format!("{up}/by_key/{}", file.key));
    }
}

/// Whether the host's name can be a path of ours.
fn is_path(file: &File) -> bool {
    file.name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !file.name.contains('\n')
}

/// A file's bytes.
#[derive(Debug)]
struct Raw(File);

impl Source for Raw {
    fn show(&self, text: &mut Text) -> Result<()> {
        let len = usize::try_from(self.0.len).map_err(|_| Errno::EFBIG)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        if !fw_cfg::read(self.0.key, &mut bytes) {
            return Err(Errno::ENODEV.into());
        }
        text.bytes(&bytes);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.len.into()
    }
}
