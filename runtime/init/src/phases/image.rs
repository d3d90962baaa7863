//! Image: find the disk that has it and verify its metadata.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Instant;

use runtime_control::Run;
use runtime_image::{Bundle, Image, Selection};

use super::host::{PATIENCE, PAUSE};
use crate::error::Error;

/// The serial number by which the disk is known.
const SERIAL: &str = "coffer-image";

/// Opens the wanted image on the attached disk. Nothing is copied: layers are read in place.
pub fn open(request: &Run) -> Result<Image, Error> {
    let path = wait_for_disk()?;
    let file =
        File::open(&path).map_err(|source| Error::Disk { path: path.display().to_string(), source })?;
    let selection = Selection { reference: request.reference.clone() };
    Ok(Image::open(Bundle::archive(file)?, &selection)?)
}

fn wait_for_disk() -> Result<PathBuf, Error> {
    let start = Instant::now();
    loop {
        if let Some(path) = find_disk() {
            return Ok(path);
        }
        if start.elapsed() >= PATIENCE {
            return Err(Error::NoDisk);
        }
        sleep(PAUSE);
    }
}

/// What the names of disks begin with: virtio, SCSI, NVMe.
const PREFIXES: [&str; 3] = ["vd", "sd", "nvme"];

/// The disk with the serial number, or else the only one.
fn find_disk() -> Option<PathBuf> {
    let names: Vec<String> = fs::read_dir("/sys/block")
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    let disks: Vec<&String> =
        names.iter().filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix))).collect();
    let serial = |name: &str| fs::read_to_string(Path::new("/sys/block").join(name).join("serial"));
    let by_serial = disks.iter().find(|name| serial(name).is_ok_and(|serial| serial.trim_end() == SERIAL));
    let name = match (by_serial, disks.as_slice()) {
        (Some(name), _) | (None, [name]) => name,
        _ => return None,
    };
    let path = Path::new("/dev").join(name);
    path.exists().then_some(path)
}
