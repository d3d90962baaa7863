//! [`Tree`]: a directory whose inside is reached component by component, never through a symbolic link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// How directories on the way are opened: a link fails with ENOTDIR or ELOOP.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A layer's root directory, held open.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the directory at `path`, which is ours and trusted.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        rustix::fs::open(path, DIRECTORY, Mode::empty()).map(|root| Self { root })
    }

    /// Opens the directory of these components.
    pub fn directory(&self, components: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
        let mut directory = open_directory(&self.root, b".")?;
        for component in components {
            directory = open_directory(&directory, component)?;
        }
        Ok(directory)
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Opens the directory `name` in `parent`. ENOTDIR when it is anything else.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => Errno::NOTDIR,
        errno => errno,
    })
}

/// The status of `name` itself, not of what it may point to.
pub fn status(parent: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Removes `name`, with everything in it if it is a directory.
pub fn remove(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    let parent = parent.as_fd();
    if FileType::from_raw_mode(status(parent, name)?.st_mode) != FileType::Directory {
        return rustix::fs::unlinkat(parent, name, AtFlags::empty());
    }

    let directory = open_directory(parent, name)?;
    // Names are gathered first: what a directory lists while it is being emptied is not defined.
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry_name = entry?.file_name().to_bytes().to_vec();
        if entry_name != b"." && entry_name != b".." {
            names.push(entry_name);
        }
    }
    for entry_name in names {
        remove(&directory, &entry_name)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}
