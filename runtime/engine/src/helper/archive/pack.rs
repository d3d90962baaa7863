//! Packing files that their owner may change meanwhile: nothing is opened by a name that was looked at before.
//!
//! Every name is opened in the folder that is open already, following no link, and what a file is is asked of the open file. A FIFO that takes
//! a file's place would have to be waited for, so nothing is opened but what cannot block.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tar::{EntryType, Header};

/// Which files of a tree are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All, but for those that the kernel makes up as they are read and that have no length: /proc, /sys and their like are packed as empty
    /// folders, unless they are what was asked for.
    Files,
    /// None that are mounted in the tree.
    OneFileSystem,
}

/// File systems of made-up files, as `statfs(2)` tells them: proc, sysfs, cgroup2, devpts, mqueue, debugfs, tracefs, securityfs.
const MADE_UP: [u64; 8] =
    [0x9fa0, 0x6265_6572, 0x6367_7270, 0x1cd1, 0x1980_0202, 0x6462_6720, 0x7472_6163, 0x7363_6673];

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Packs what is at `path` under the name `name`. With `follows`, `path` is a folder or leads to one.
pub fn pack(path: &Path, follows: bool, name: &Path, extent: Extent, sink: impl Write) -> io::Result<()> {
    let mut packer = Packer { tar: tar::Builder::new(io::BufWriter::new(sink)), extent };
    if follows {
        let folder = rustix::fs::open(path, FOLDER, Mode::empty())?;
        packer.folder(&folder, name)?;
    } else {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let parent = rustix::fs::openat(CWD, parent, OFlags::PATH | FOLDER, Mode::empty())?;
        packer.entry(parent.as_fd(), path.file_name().unwrap_or_default(), name, None)?;
    }
    packer.tar.into_inner()?.flush()
}

struct Packer<W: Write> {
    tar: tar::Builder<W>,
    extent: Extent,
}

impl<W: Write> Packer<W> {
    /// Packs `file` in the open folder `parent`, which is on the device `device` unless that does not matter. What has gone meanwhile is left out.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        file: &OsStr,
        name: &Path,
        device: Option<u64>,
    ) -> io::Result<()> {
        let Some(status) = there(rustix::fs::statat(parent, file, AtFlags::SYMLINK_NOFOLLOW))? else {
            return Ok(());
        };
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let Some(folder) = there(open(parent, file, FOLDER | OFlags::NOFOLLOW))? else {
                    return Ok(());
                };
                if device.is_some_and(|device| device != status.st_dev) && self.leaves_out(&folder)? {
                    let mut header = header(EntryType::Directory, &rustix::fs::fstat(&folder)?);
                    return self.tar.append_data(&mut header, name, io::empty());
                }
                self.folder(&folder, name)
            }
            FileType::RegularFile => match there(open(parent, file, FILE))? {
                Some(file) => self.file(file.into(), name),
                None => Ok(()),
            },
            FileType::Symlink => {
                let Some(target) = there(rustix::fs::readlinkat(parent, file, Vec::new()))? else {
                    return Ok(());
                };
                let target = OsStr::from_bytes(target.as_bytes());
                self.tar.append_link(&mut header(EntryType::Symlink, &status), name, target)
            }
            kind => match special(kind) {
                Some(kind) => {
                    let mut header = header(kind, &status);
                    header.set_device_major(rustix::fs::major(status.st_rdev))?;
                    header.set_device_minor(rustix::fs::minor(status.st_rdev))?;
                    self.tar.append_data(&mut header, name, io::empty())
                }
                // A tar has no sockets.
                None => Ok(()),
            },
        }
    }

    /// Whether the folder, the root of something mounted, is packed as an empty one.
    fn leaves_out(&self, folder: &OwnedFd) -> io::Result<bool> {
        Ok(match self.extent {
            Extent::OneFileSystem => true,
            Extent::Files => {
                MADE_UP.contains(&u64::try_from(rustix::fs::fstatfs(folder)?.f_type).unwrap_or_default())
            }
        })
    }

    fn folder(&mut self, folder: &OwnedFd, name: &Path) -> io::Result<()> {
        let status = rustix::fs::fstat(folder)?;
        self.tar.append_data(&mut header(EntryType::Directory, &status), name, io::empty())?;
        let mut files: Vec<OsString> = Vec::new();
        for entry in Dir::read_from(folder)? {
            let file = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if file != "." && file != ".." {
                files.push(file);
            }
        }
        for file in files {
            let name: PathBuf = name.join(&file);
            self.entry(folder.as_fd(), &file, &name, Some(status.st_dev))?;
        }
        Ok(())
    }

    /// Packs as many bytes as the file has now: what is written behind them meanwhile is left out, what is cut off is zeros.
    fn file(&mut self, file: File, name: &Path) -> io::Result<()> {
        let status = rustix::fs::fstat(&file)?;
        // Something else has taken the name since it was looked at.
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        self.contents(file, &status, name)
    }

    fn contents(&mut self, file: File, status: &Stat, name: &Path) -> io::Result<()> {
        let size = u64::try_from(status.st_size).unwrap_or_default();
        let mut header = header(EntryType::Regular, status);
        header.set_size(size);
        self.tar.append_data(&mut header, name, file.chain(io::repeat(0)).take(size))
    }
}

fn open(parent: BorrowedFd<'_>, file: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, file, flags, Mode::empty())
}

/// None for what is not there any more, or is something else by now.
fn there<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        // INVAL: no link to be read. NXIO: a socket or FIFO cannot be opened so.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn special(kind: FileType) -> Option<EntryType> {
    match kind {
        FileType::Fifo => Some(EntryType::Fifo),
        FileType::CharacterDevice => Some(EntryType::Char),
        FileType::BlockDevice => Some(EntryType::Block),
        _ => None,
    }
}

fn header(kind: EntryType, status: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(status.st_mode & 0o7777);
    header.set_uid(status.st_uid.into());
    header.set_gid(status.st_gid.into());
    header.set_mtime(u64::try_from(status.st_mtime).unwrap_or_default());
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn packed(path: &Path, follows: bool, extent: Extent) -> Vec<(String, EntryType, String)> {
        let mut bytes = Vec::new();
        pack(path, follows, Path::new("top"), extent, &mut bytes).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let link = entry.link_name().unwrap().map(|link| link.display().to_string());
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().entry_type(), link.unwrap_or(text))
            })
            .collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries
    }

    #[test]
    fn a_fifo_is_packed_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("file"), "text").unwrap();
        symlink("/etc/shadow", root.join("link")).unwrap();
        rustix::fs::mkfifoat(CWD, root.join("pipe"), Mode::RWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let expected = [
            ("top", EntryType::Directory, ""),
            ("top/file", EntryType::Regular, "text"),
            ("top/link", EntryType::Symlink, "/etc/shadow"),
            ("top/pipe", EntryType::Fifo, ""),
        ];
        let found = packed(&root, false, Extent::Files);
        let found: Vec<_> = found
            .iter()
            .map(|(path, kind, text)| (path.trim_end_matches('/'), *kind, text.as_str()))
            .collect();
        assert_eq!(found, expected);

        // The name of a link is the link, unless a folder was asked for.
        symlink("tree", folder.path().join("to")).unwrap();
        assert_eq!(packed(&folder.path().join("to"), false, Extent::Files)[0].1, EntryType::Symlink);
        assert_eq!(packed(&folder.path().join("to"), true, Extent::Files).len(), 4);
    }

    #[test]
    fn files_that_change_meanwhile_leave_the_tar_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let mut packer = Packer { tar: tar::Builder::new(Vec::new()), extent: Extent::Files };
        let status = rustix::fs::fstat(&file).unwrap();
        fs::write(&path, "01234").unwrap();
        packer.contents(file, &status, Path::new("cut")).unwrap();
        packer.file(File::open(&path).unwrap(), Path::new("now")).unwrap();
        let bytes = packer.tar.into_inner().unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let sizes: Vec<u64> = archive.entries().unwrap().map(|entry| entry.unwrap().size()).collect();
        assert_eq!(sizes, [10, 5]);
    }

    #[test]
    fn made_up_files_are_left_out() {
        let mut packer = Packer { tar: tar::Builder::new(Vec::new()), extent: Extent::Files };
        let root = rustix::fs::open("/", FOLDER, Mode::empty()).unwrap();
        packer.entry(root.as_fd(), OsStr::new("proc"), Path::new("proc"), Some(0)).unwrap();
        let bytes = packer.tar.into_inner().unwrap();
        assert_eq!(tar::Archive::new(&bytes[..]).entries().unwrap().count(), 1);
    }
}
