//! [`Root`]: a container's root file system seen from outside, with paths resolved as its processes would resolve them.
//!
//! A link in an image may point to `/etc`; followed from outside that would be the machine's. And what lies on a volume can be changed
//! by another container at any moment, so a path that was checked means nothing by the time it is used. Every path is therefore
//! resolved by the kernel, in one call, with the container's root as `/` (`openat2(2)` with `RESOLVE_IN_ROOT`), and what is done
//! with the result is done with the descriptor.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How many links one path may pass through, as in Linux.
const MAX_LINKS: usize = 40;

/// A directory that is or will be the root of a container.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
}

/// What to make when a path does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An empty directory.
    Directory,
    /// An empty file.
    File,
}

impl Root {
    /// The tree at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the tree is, from outside.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what a process inside finds at `path`.
    ///
    /// # Errors
    ///
    /// What `openat2(2)` returns.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let root = rustix::fs::openat(CWD, &self.path, DIRECTORY, Mode::empty())?;
        open_in(&root, path, flags)
    }

    /// Finds the place of a path whose last component may not exist yet, making the directories before it: the directory and the name in it.
    /// A link at the very end is followed if it leads somewhere; one that leads nowhere is followed to where it would.
    ///
    /// # Errors
    ///
    /// ELOOP for too many links, EEXIST for a path that ends in `..`; what the calls return.
    pub fn place(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let root = rustix::fs::openat(CWD, &self.path, DIRECTORY, Mode::empty())?;
        let mut so_far = PathBuf::from("/");
        let mut todo = components(path);
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            let folder = open_in(&root, &so_far, DIRECTORY)?;
            if todo.is_empty() && name != ".." && !is_link(&folder, &name)? {
                return Ok((folder, name));
            }
            let next = so_far.join(&name);
            match open_in(&root, &next, OFlags::PATH | OFlags::CLOEXEC) {
                Ok(_) if !todo.is_empty() || name == ".." => so_far = next,
                Err(error)
                    if Errno::from_io_error(&error) == Some(Errno::NOENT) && !is_link(&folder, &name)? =>
                {
                    match rustix::fs::mkdirat(&folder, &name, Mode::from_raw_mode(0o755)) {
                        // Somebody else made it; whatever it is, the next step resolves it anew.
                        Ok(()) | Err(Errno::EXIST) => so_far = next,
                        Err(errno) => return Err(errno.into()),
                    }
                }
                Err(error) if Errno::from_io_error(&error) != Some(Errno::NOENT) => return Err(error),
                // A link at the end, or one that leads nowhere yet: go on with where it leads.
                _ => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = rustix::fs::readlinkat(&folder, &name, Vec::new())?;
                    let target = PathBuf::from(OsString::from(
                        String::from_utf8_lossy(target.as_bytes()).into_owned(),
                    ));
                    if target.is_absolute() {
                        so_far = PathBuf::from("/");
                    }
                    let mut target = components(&target);
                    target.append(&mut todo);
                    todo = target;
                }
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Opens what is at `path` (with `O_PATH`), and makes it first if it does not exist.
    ///
    /// # Errors
    ///
    /// What the calls return.
    pub fn open_or_make(&self, path: &Path, missing: Missing) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match self.open(path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let (folder, name) = self.place(path)?;
        let made = match missing {
            Missing::Directory => rustix::fs::mkdirat(&folder, &name, Mode::from_raw_mode(0o755)),
            Missing::File => {
                rustix::fs::mknodat(&folder, &name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
            }
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {
                Ok(rustix::fs::openat(&folder, &name, flags | OFlags::NOFOLLOW, Mode::empty())?)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads a regular file of at most `limit` bytes. None when it does not exist.
    ///
    /// # Errors
    ///
    /// `InvalidData` for anything that is not a regular file or is larger; what the calls return.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        // O_NONBLOCK: an image may have a FIFO where a file is expected, and opening it would wait for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match self.open(path, flags) {
            Ok(file) => File::from(file),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file of reasonable size"));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// The name under which calls that take only paths (`mount(2)`) find an open file. Needs the machine's /proc.
#[must_use]
pub fn path_of(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn open_in(root: &OwnedFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // A rename somewhere at the same time; the call asks to be repeated.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

fn is_link(folder: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(FileType::from_raw_mode(status.st_mode) == FileType::Symlink),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        fs::create_dir_all(folder.path().join("run/lock")).unwrap();
        symlink("/run", folder.path().join("absolute")).unwrap();
        symlink("../../../run", folder.path().join("run/up")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        symlink("/later/file", folder.path().join("dangling")).unwrap();

        let make = |path: &str| {
            let made = root.open_or_make(Path::new(path), Missing::Directory)?;
            fs::read_link(path_of(&made))
        };
        assert_eq!(make("/absolute/lock").unwrap(), folder.path().join("run/lock"));
        assert_eq!(make("/run/up/lock").unwrap(), folder.path().join("run/lock"));
        assert_eq!(make("/../../etc/passwd").unwrap(), folder.path().join("etc/passwd"));
        assert_eq!(make("/absolute/new/folder").unwrap(), folder.path().join("run/new/folder"));
        assert_eq!(make("/dangling").unwrap(), folder.path().join("later/file"));
        assert_eq!(make("/").unwrap(), folder.path());
        assert!(make("/loop").is_err());
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        fs::write(folder.path().join("file"), "text").unwrap();
        rustix::fs::mkfifoat(CWD, folder.path().join("fifo"), Mode::RWXU).unwrap();
        assert_eq!(root.read(Path::new("/file"), 4).unwrap().unwrap(), b"text");
        assert!(root.read(Path::new("/file"), 3).is_err());
        assert!(root.read(Path::new("/fifo"), 100).is_err());
        assert!(root.read(Path::new("/"), 100).is_err());
        assert!(root.read(Path::new("/none"), 100).unwrap().is_none());
    }
}
