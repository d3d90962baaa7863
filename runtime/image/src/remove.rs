//! Removes trees that strangers made, however deep they are.
//!
//! `std::fs::remove_dir_all` keeps a descriptor open for each level, so that a container with some thousand folders in each other could never be
//! removed. Here the folders of a folder are moved up beside it before it goes: no name has more than two parts, a few descriptors are open.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Removes a folder with all that is in it. Symbolic links in it are removed, never followed. What a failure leaves can be removed by another try.
///
/// # Errors
///
/// What the file system says of the first thing that cannot be removed; NotFound and NotADirectory if `path` is no folder.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let top = open_folder(CWD, path)?;
    let mut tree = Tree { top, folders: Vec::new(), moved: 0 };
    let first = tree.top.try_clone()?;
    tree.empty(first, |_, _, name| Ok(name.to_owned()))?;
    while let Some(name) = tree.folders.pop() {
        let folder = open_folder(&tree.top, &name)?;
        tree.empty(folder, Tree::move_up)?;
        unlinkat(&tree.top, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

fn open_folder(parent: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// What is left of a tree: its top, and folders below that have yet to go, all of them right in the top.
struct Tree {
    top: OwnedFd,
    folders: Vec<CString>,
    /// How many folders were given a name in the top.
    moved: u64,
}

impl Tree {
    /// Removes the files and empty folders of `folder`; the others are noted under the name in the top that `place` gives.
    fn empty(
        &mut self,
        folder: OwnedFd,
        place: impl Fn(&mut Self, BorrowedFd<'_>, &CStr) -> io::Result<CString>,
    ) -> io::Result<()> {
        use std::os::fd::AsFd;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => is_folder(&folder, name)?,
                _ => false,
            };
            if !is_folder {
                unlinkat(&folder, name, AtFlags::empty())?;
                continue;
            }
            match unlinkat(&folder, name, AtFlags::REMOVEDIR) {
                Ok(()) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    let name = place(self, folder.as_fd(), name)?;
                    self.folders.push(name);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Moves a folder into the top, under a name that nothing there has.
    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> io::Result<CString> {
        loop {
            self.moved = self.moved.wrapping_add(1);
            let new = CString::new(format!(".removed-{}", self.moved))?;
            match renameat_with(parent, name, &self.top, &new, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(new),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_folder(parent: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::mkdirat;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn a_tree_goes_with_all_that_is_in_it_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, kept) = (folder.path().join("tree"), folder.path().join("kept"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "kept").unwrap();
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        // Names that the removal itself might choose.
        fs::create_dir_all(tree.join(".removed-1/.removed-1/.removed-2")).unwrap();
        fs::write(tree.join(".removed-2"), "").unwrap();
        for number in 0..2000 {
            fs::write(tree.join(format!("a/b/{number}")), "").unwrap();
        }
        symlink(&kept, tree.join("a/b/link")).unwrap();
        symlink("nowhere", tree.join("a/dangling")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read(kept.join("file")).unwrap(), b"kept");
    }

    #[test]
    fn depth_beyond_the_limit_of_open_files_and_of_names_goes_too() {
        let depth = 6000;
        let limit = getrlimit(Resource::Nofile);
        assert!(
            limit.current.is_some_and(|limit| limit < depth) || {
                let lower = Rlimit { current: Some(1024), maximum: limit.maximum };
                setrlimit(Resource::Nofile, lower).is_ok()
            }
        );
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut at = open_folder(CWD, &tree).unwrap();
        for _ in 0..depth {
            mkdirat(&at, "d", Mode::from_raw_mode(0o755)).unwrap();
            at = open_folder(&at, "d").unwrap();
        }
        drop(at);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink(folder.path(), &link).unwrap();
        for (path, kind) in [
            (&file, io::ErrorKind::NotADirectory),
            (&link, io::ErrorKind::NotADirectory),
            (&folder.path().join("none"), io::ErrorKind::NotFound),
        ] {
            assert_eq!(remove_tree(path).unwrap_err().kind(), kind, "{}", path.display());
        }
        assert!(file.exists() && link.exists());
    }
}
