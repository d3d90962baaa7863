//! [`Snapshot`]: a container's root file system, its image's layers under a writable directory of its own (overlayfs).

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::Error;
use crate::remove_tree;

/// A mounted overlay and the folder that holds everything of it.
#[derive(Debug)]
pub struct Snapshot {
    folder: PathBuf,
    root: PathBuf,
}

impl Snapshot {
    /// The snapshot in `folder`, which need not be there yet.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), root: folder.join("root") }
    }

    /// Mounts in `folder`, and makes it first if it is not there; what was written in an earlier mount is seen again. `layers` are the image's
    /// unpacked layers, topmost first.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`] with what failed; nothing new is left then.
    pub fn mount(folder: &Path, layers: &[PathBuf]) -> Result<Self, Error> {
        let snapshot = Self::at(folder);
        let is_new = !folder.exists();
        match snapshot.try_mount(layers) {
            Ok(()) => Ok(snapshot),
            Err(error) => {
                if is_new {
                    // The first error is the one to tell; what is left of the folder holds no mount.
                    let _ = remove_tree(folder);
                }
                Err(error)
            }
        }
    }

    /// What was written, without the layers below.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Unmounts, and keeps what was written. No error when nothing is mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`] with what failed.
    pub fn unmount(&self) -> Result<(), Error> {
        match rustix::mount::unmount(&self.root, UnmountFlags::empty()) {
            // Something still uses it, say a process that is just ending: out of sight now, gone with the last user.
            Err(Errno::BUSY) => rustix::mount::unmount(&self.root, UnmountFlags::DETACH),
            // EINVAL: not a mount point.
            Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            result => result,
        }
        .map_err(failed("unmount", &self.root))
    }

    /// Where the container's root file system is mounted.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder; the caller may keep more of the container in it. [`Snapshot::remove`] removes that, too.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts, and removes the folder with all that the container wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Directory`] with what failed.
    pub fn remove(self) -> Result<(), Error> {
        self.unmount()?;
        remove_tree(&self.folder).map_err(failed_io("remove", &self.folder))
    }

    fn try_mount(&self, layers: &[PathBuf]) -> Result<(), Error> {
        let folder = |name: &str| {
            let path = self.folder.join(name);
            make(&path, 0o755).map(|_| path)
        };
        let is_new = make(&self.folder, 0o700)?;
        let (upper, work, root) = (folder("upper")?, folder("work")?, folder("root")?);

        // An image without layers is an empty directory. Otherwise the upper directory covers the image's root directory, so it
        // looks like it.
        let empty;
        let layers = if let [top, ..] = layers {
            if is_new {
                let top = fs::metadata(top).map_err(failed_io("look at", top))?;
                std::os::unix::fs::chown(&upper, Some(top.uid()), Some(top.gid()))
                    .map_err(failed_io("give", &upper))?;
                fs::set_permissions(&upper, fs::Permissions::from_mode(top.mode() & 0o7777))
                    .map_err(failed_io("set the mode of", &upper))?;
            }
            layers
        } else {
            empty = [folder("empty")?];
            &empty
        };
        let lower: Vec<String> = layers.iter().map(|layer| layer.display().to_string()).collect();
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
        let options = std::ffi::CString::new(options).map_err(|_| failed("mount", &root)(Errno::INVAL))?;
        // Device nodes of a layer must not reach the machine's devices; the runtime mounts those that a container gets.
        rustix::mount::mount("overlay", &root, "overlay", MountFlags::NODEV, options.as_c_str())
            .map_err(failed("mount", &root))
    }
}

/// Makes a directory; says whether it was not there.
fn make(path: &Path, mode: u32) -> Result<bool, Error> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed_io("create", path)(error)),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> Error {
    let fail = failed_io(action, path);
    move |errno| fail(errno.into())
}

fn failed_io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::Directory { action, path, source }
}
