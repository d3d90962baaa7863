//! Copy-up: a new, empty volume begins with what the image has at its place.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use runtime_oci::root::{Root, path_of};
use rustix::fs::OFlags;

use crate::Error;

/// Copies the image's folder at `destination` into the empty folder `volume`. Nothing of the container runs yet, so the tree keeps still.
pub fn copy_up(root: &Root, destination: &str, volume: &Path) -> Result<(), Error> {
    let what = || format!("copy the image's files at `{destination}` into its volume");
    let is_empty = fs::read_dir(volume).map_err(Error::system(what()))?.next().is_none();
    if !is_empty {
        return Ok(());
    }
    let folder = match root.open(Path::new(destination), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
    {
        Ok(folder) => folder,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(Error::system(what())(error)),
    };
    // Through the descriptor, so that links in the path count inside of the container only.
    copy_folder(&path_of(&folder), volume).map_err(Error::system(what()))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    chown(to, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(to, Permissions::from_mode(metadata.mode() & 0o7777))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = metadata.file_type();
        if kind.is_dir() {
            fs::create_dir(&to)?;
            copy_folder(&from, &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
            std::os::unix::fs::lchown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
            chown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
            fs::set_permissions(&to, Permissions::from_mode(metadata.mode() & 0o7777))?;
            fs::File::options().write(true).open(&to)?.set_modified(metadata.modified()?)?;
        }
        // Devices, sockets and FIFOs of an image have no business in a volume.
    }
    Ok(())
}
