//! Diff: what a container changed of its image's files, read from the upper directory of its overlay.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use runtime_image::Snapshot;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use crate::engine::blocking;
use crate::models::{ChangeType, FilesystemChange};
use crate::{Engine, Error};

/// Empty files that the engine makes where the image has none, to mount the container's own over them. They are no changes.
const MADE: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Engine {
    /// What it changed of its image's files.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub async fn container_changes(&self, reference: &str) -> Result<Vec<FilesystemChange>, Error> {
        let entry = self.find(reference)?;
        let layers = self.images().held(&entry.id).unwrap_or_default();
        let upper = Snapshot::at(&entry.snapshot_folder()).upper();
        blocking(move || {
            let mut changes = Vec::new();
            match rustix::fs::openat(CWD, &upper, FOLDER, Mode::empty()) {
                Ok(folder) => walk(&folder, Path::new("/"), &layers, &mut changes)
                    .map(drop)
                    .map_err(Error::system("read the container's files"))?,
                // Never started: nothing changed.
                Err(rustix::io::Errno::NOENT) => {}
                Err(errno) => return Err(Error::system("read the container's files")(errno)),
            }
            changes.sort_by(|one: &FilesystemChange, other| one.path.cmp(&other.path));
            Ok(changes)
        })
        .await
    }
}

/// Goes down by descriptors, which no link bends while the container runs. Whether it passed over what the engine made.
fn walk(
    folder: &OwnedFd,
    path: &Path,
    layers: &[PathBuf],
    changes: &mut Vec<FilesystemChange>,
) -> std::io::Result<bool> {
    let mut has_made = false;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::new(entry.file_name().to_str().unwrap_or_default());
        if name == "." || name == ".." || name.is_empty() {
            continue;
        }
        // Gone again already.
        let Ok(status) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let path = path.join(name);
        let is_empty = FileType::from_raw_mode(status.st_mode).is_file() && status.st_size == 0;
        if is_empty && MADE.iter().any(|made| path == Path::new(made)) {
            has_made = true;
            continue;
        }
        let below = in_layers(&path, layers);
        let kind = if is_whiteout(&status) {
            ChangeType::_2
        } else if below.is_some() {
            ChangeType::_0
        } else {
            ChangeType::_1
        };
        let at = changes.len();
        changes.push(FilesystemChange { path: path.display().to_string(), kind });
        if FileType::from_raw_mode(status.st_mode).is_dir()
            && let Ok(inner) = rustix::fs::openat(folder, name, FOLDER, Mode::empty())
        {
            let has_made = walk(&inner, &path, layers, changes)?;
            // Their folder is one only if it has others, or another owner or mode.
            let owned = |status: &Stat| (status.st_mode, status.st_uid, status.st_gid);
            let is_same = below.is_none_or(|below| owned(&below) == owned(&status));
            if has_made && is_same && changes.len() == at + 1 {
                changes.pop();
            }
        }
    }
    Ok(has_made)
}

/// overlayfs hides a file of the layers below by a character device with the number 0.
fn is_whiteout(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_char_device() && status.st_rdev == 0
}

/// What the image has at the path; of the layers, topmost first, the first that has it or hides it decides.
fn in_layers(path: &Path, layers: &[PathBuf]) -> Option<Stat> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    for layer in layers {
        let mut at = layer.clone();
        let mut found = None;
        for component in relative.components() {
            at.push(component);
            found = match rustix::fs::lstat(&at) {
                Ok(status) if is_whiteout(&status) => return None,
                Ok(status)
                    if FileType::from_raw_mode(status.st_mode).is_symlink() && !at.ends_with(relative) =>
                {
                    None
                }
                result => result.ok(),
            };
            if found.is_none() {
                break;
            }
        }
        if found.is_some() {
            return found;
        }
    }
    None
}
