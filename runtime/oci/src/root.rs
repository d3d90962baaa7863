//! [`Root`]: a container's root file system seen from outside, with paths resolved as its processes would resolve them.
//!
//! A link in an image may point to `/etc`; followed from outside that would be the machine's. Resolution here is a check
//! before use, not one call: it is sound because nothing of the container runs yet, so nobody can change the tree in between.
//! (openat2's RESOLVE_IN_ROOT would do it in one call; a young kernel may lack it.)

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

/// How many links one path may pass through, as in Linux.
const MAX_LINKS: usize = 40;

/// A directory that is or will be the root of a container in which no process runs.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
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

    /// The path from outside of what a process inside finds at `path`. No component of it below the root is a link.
    /// Components that do not exist are taken as they are.
    ///
    /// # Errors
    ///
    /// ELOOP for too many links; what `lstat(2)` and `readlink(2)` return.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut resolved = self.path.clone();
        let mut depth = 0_usize;
        let mut links = 0;
        let mut todo: VecDeque<OsString> = components(path);
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                if depth > 0 {
                    resolved.pop();
                    depth -= 1;
                }
                continue;
            }
            let candidate = resolved.join(&name);
            match fs::symlink_metadata(&candidate) {
                Ok(metadata) if metadata.file_type().is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(rustix::io::Errno::LOOP.into());
                    }
                    let target = fs::read_link(&candidate)?;
                    if target.is_absolute() {
                        (resolved, depth) = (self.path.clone(), 0);
                    }
                    let mut target = components(&target);
                    target.append(&mut todo);
                    todo = target;
                }
                Ok(_) => (resolved, depth) = (candidate, depth + 1),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    (resolved, depth) = (candidate, depth + 1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(resolved)
    }

    /// Reads a regular file of at most `limit` bytes. None when it does not exist.
    ///
    /// # Errors
    ///
    /// `InvalidData` for anything that is not a regular file or is larger; what the calls return.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        // O_NONBLOCK: an image may have a FIFO where a file is expected, and opening it would wait for ever.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(self.resolve(path)?) {
            Ok(file) => file,
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

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
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

        let inside = |path: &str| root.resolve(Path::new(path)).unwrap();
        assert_eq!(inside("/absolute/lock"), folder.path().join("run/lock"));
        assert_eq!(inside("/run/up/lock"), folder.path().join("run/lock"));
        assert_eq!(inside("/../../etc/passwd"), folder.path().join("etc/passwd"));
        assert_eq!(inside("/missing/../run"), folder.path().join("run"));
        assert!(root.resolve(Path::new("/loop")).is_err());
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        fs::write(folder.path().join("file"), "text").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(root.read(Path::new("/file"), 4).unwrap().unwrap(), b"text");
        assert!(root.read(Path::new("/file"), 3).is_err());
        assert!(root.read(Path::new("/fifo"), 100).is_err());
        assert!(root.read(Path::new("/"), 100).is_err());
        assert!(root.read(Path::new("/none"), 100).unwrap().is_none());
    }
}
