//! virtio-console ports by name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

/// Opens the port called `name` for reading and writing, without waiting on either. None when there is none.
pub fn open(name: &str) -> io::Result<Option<File>> {
    let Some(path) = find(name) else { return Ok(None) };
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map(Some)
}

/// The link that udev would make, or else the device whose sysfs entry has the name.
fn find(name: &str) -> Option<PathBuf> {
    let link = PathBuf::from("/dev/virtio-ports").join(name);
    if link.exists() {
        return Some(link);
    }
    fs::read_dir("/sys/class/virtio-ports").ok()?.flatten().find_map(|entry| {
        let found = fs::read_to_string(entry.path().join("name")).ok()?;
        (found.trim_end() == name).then(|| PathBuf::from("/dev").join(entry.file_name()))
    })
}
