//! [`Writer`]: makes the entries of one layer, one by one, inside its directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::failed;
use super::lower::{self, Found};
use super::metadata::{Metadata, set_time};
use super::path::EntryPath;
use super::tree::{Tree, open_directory, remove, status};
use super::whiteout::{self, Meaning};
use crate::error::LayerError;
use crate::tar::{Entry, Kind, Reader, Skip, Time};

/// What an implied directory gets when no lower layer has it.
const IMPLIED: Metadata = Metadata {
    uid: 0,
    gid: 0,
    mode: 0o755,
    modified: Time { seconds: 0, nanoseconds: 0 },
    attributes: Vec::new(),
};

/// How new files are opened; never an existing one.
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The state of unpacking one layer.
pub struct Writer {
    tree: Tree,
    lower: Vec<Tree>,
    /// The directory that the last entry was in, since entries come directory by directory. Forgotten when anything is removed.
    last: Option<(Vec<Vec<u8>>, Rc<OwnedFd>)>,
    /// Whether something of this layer has given way to a later entry.
    is_replaced: bool,
    /// Times of directories, set at the end because making entries changes them.
    directory_times: BTreeMap<EntryPath, Time>,
}

impl Writer {
    /// Starts in the empty directory `into`; `lower` as for [`super::unpack`].
    pub fn new(into: &Path, lower: &[PathBuf]) -> Result<Self, LayerError> {
        let open = |path: &Path| {
            Tree::open(path).map_err(|errno| LayerError::Io {
                action: "open",
                path: path.display().to_string(),
                source: errno.into(),
            })
        };
        let lower: Vec<Tree> = lower.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
        let tree = open(into)?;
        // The layer may say nothing about the root directory, which then stays what it is below.
        if let Some(below) = lower.first() {
            let path = EntryPath::default();
            let metadata = lower::of_root(below).map_err(failed("look below for", &path))?;
            metadata.apply(&tree).map_err(failed("set the owner of", &path))?;
        }
        Ok(Self { tree, lower, last: None, is_replaced: false, directory_times: BTreeMap::new() })
    }

    /// Makes one entry, taking a file's data from `tar`.
    pub fn write(&mut self, entry: &Entry, tar: &mut Reader<impl Skip>) -> Result<(), LayerError> {
        let path = EntryPath::parse(&entry.path)?;
        let metadata = Metadata::from(entry);
        let Some((parent, name)) = path.split() else {
            return self.write_root(entry, &path, &metadata);
        };
        let parent = self.parent(parent, &path)?;
        match whiteout::meaning(name) {
            Meaning::Entry => {}
            Meaning::Opaque => return whiteout::set_opaque(&parent).map_err(failed("mark as opaque", &path)),
            Meaning::Deleted(name) => return Self::write_whiteout(&parent, name, &path),
            Meaning::Nothing => return Ok(()),
        }

        match entry.kind {
            Kind::Directory => self.write_directory(&parent, name, &path, &metadata),
            Kind::File => {
                let file = self.create(&parent, name, &path, |parent| {
                    rustix::fs::openat(parent, name, NEW_FILE, Mode::RUSR | Mode::WUSR)
                })?;
                write_data(file.into(), entry.size, tar, &path, &metadata)
            }
            Kind::Symlink => {
                self.create(&parent, name, &path, |parent| {
                    rustix::fs::symlinkat(entry.link.as_slice(), parent, name)
                })?;
                metadata.apply_to_link(&parent, name).map_err(failed("set the owner of", &path))
            }
            Kind::HardLink => self.write_hard_link(&parent, name, &path, &entry.link),
            Kind::CharacterDevice => {
                self.write_node(&parent, &path, FileType::CharacterDevice, entry, &metadata)
            }
            Kind::BlockDevice => self.write_node(&parent, &path, FileType::BlockDevice, entry, &metadata),
            Kind::Fifo => self.write_node(&parent, &path, FileType::Fifo, entry, &metadata),
        }
    }

    /// Sets what had to wait for the last entry. Returns whether every file that was written is still there.
    pub fn finish(self) -> Result<bool, LayerError> {
        for (path, time) in self.directory_times.iter().rev() {
            match self.tree.directory(path.components()) {
                Ok(directory) => set_time(&directory, *time).map_err(failed("set the time of", path))?,
                // A later entry of the layer has taken the directory's place.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(failed("open", path)(errno)),
            }
        }
        Ok(!self.is_replaced)
    }

    /// Opens the directory that an entry is in. Directories that the tar did not mention are made.
    fn parent(&mut self, components: &[Vec<u8>], path: &EntryPath) -> Result<Rc<OwnedFd>, LayerError> {
        if let Some((last, directory)) = &self.last
            && last == components
        {
            return Ok(Rc::clone(directory));
        }
        let mut directory = open_directory(&self.tree, b".").map_err(failed("open", path))?;
        for (depth, component) in components.iter().enumerate() {
            directory = match open_directory(&directory, component) {
                Ok(next) => next,
                Err(Errno::NOENT) => {
                    let components = components.get(..=depth).unwrap_or_default();
                    self.imply(&directory, component, &EntryPath::of(components))?
                }
                Err(Errno::NOTDIR) => return Err(LayerError::NotADirectory(path.to_string())),
                Err(errno) => return Err(failed("open", path)(errno)),
            };
        }
        let directory = Rc::new(directory);
        self.last = Some((components.to_vec(), Rc::clone(&directory)));
        Ok(directory)
    }

    /// Makes a directory that only appears within longer paths. It will cover the one of a lower layer, so it looks like it.
    fn imply(&mut self, parent: &OwnedFd, name: &[u8], path: &EntryPath) -> Result<OwnedFd, LayerError> {
        let metadata = match lower::find(&self.lower, path.components()) {
            Ok(Some(found)) if found.file_type() == FileType::Directory => found.metadata(),
            Ok(None) => IMPLIED,
            // Most likely a link such as /lib: a directory in its place would hide what it points to.
            Ok(Some(_)) | Err(Errno::NOTDIR) => return Err(LayerError::NotADirectory(path.to_string())),
            Err(errno) => return Err(failed("look below for", path)(errno)),
        };
        rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(failed("create", path))?;
        let directory = open_directory(parent, name).map_err(failed("open", path))?;
        metadata.apply(&directory).map_err(failed("set the owner of", path))?;
        self.directory_times.insert(path.clone(), metadata.modified);
        Ok(directory)
    }

    fn write_root(&mut self, entry: &Entry, path: &EntryPath, metadata: &Metadata) -> Result<(), LayerError> {
        if entry.kind != Kind::Directory {
            return Err(LayerError::Escape("/".to_owned()));
        }
        self.directory_times.insert(path.clone(), metadata.modified);
        metadata.apply(&self.tree).map_err(failed("set the owner of", path))
    }

    fn write_directory(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &EntryPath,
        metadata: &Metadata,
    ) -> Result<(), LayerError> {
        let existing = status(parent, name).ok();
        let is_directory = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
        if !existing.as_ref().is_some_and(|status| is_directory(status.st_mode)) {
            self.create(parent, name, path, |parent| rustix::fs::mkdirat(parent, name, Mode::RWXU))?;
        }
        let directory = open_directory(parent, name).map_err(failed("open", path))?;
        // The layer deleted what was below and made a new directory: nothing of the old one may show through.
        if existing.is_some_and(|status| whiteout::is_whiteout(&status)) {
            whiteout::set_opaque(&directory).map_err(failed("mark as opaque", path))?;
        }
        self.directory_times.insert(path.clone(), metadata.modified);
        metadata.apply(&directory).map_err(failed("set the owner of", path))
    }

    fn write_whiteout(parent: &OwnedFd, name: &[u8], path: &EntryPath) -> Result<(), LayerError> {
        if matches!(name, b"" | b"." | b"..") {
            return Err(LayerError::Escape(path.to_string()));
        }
        match whiteout::create(parent, name) {
            // The layer has the name itself: it stays, and what is below must not show through.
            Err(Errno::EXIST) => match open_directory(parent, name) {
                Ok(directory) => whiteout::set_opaque(&directory).map_err(failed("mark as opaque", path)),
                Err(Errno::NOTDIR) => Ok(()),
                Err(errno) => Err(failed("open", path)(errno)),
            },
            result => result.map_err(failed("delete", path)),
        }
    }

    fn write_node(
        &mut self,
        parent: &OwnedFd,
        path: &EntryPath,
        file_type: FileType,
        entry: &Entry,
        metadata: &Metadata,
    ) -> Result<(), LayerError> {
        let Some((_, name)) = path.split() else { return Ok(()) };
        let device = makedev(entry.device.0, entry.device.1);
        self.create(parent, name, path, |parent| {
            rustix::fs::mknodat(parent, name, file_type, Mode::RUSR | Mode::WUSR, device)
        })?;
        metadata.apply_at(parent, name).map_err(failed("set the owner of", path))
    }

    /// Links to a file of this layer; one of a lower layer is copied, since links do not reach across directories that
    /// are mounted together.
    fn write_hard_link(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &EntryPath,
        target: &[u8],
    ) -> Result<(), LayerError> {
        let target = EntryPath::parse(target)?;
        let missing = || LayerError::LinkTarget { path: path.to_string(), target: target.to_string() };
        let Some((target_parent, target_name)) = target.split() else { return Err(missing()) };
        if target == *path {
            return Err(missing());
        }
        let here = match self.tree.directory(target_parent) {
            Ok(directory) => status(&directory, target_name).map(|_| directory),
            Err(errno) => Err(errno),
        };
        match here {
            Ok(directory) => self.create(parent, name, path, |parent| {
                rustix::fs::linkat(&directory, target_name, parent, name, AtFlags::empty())
            }),
            Err(Errno::NOENT) => match lower::find(&self.lower, target.components()) {
                Ok(Some(found)) => self.copy_up(parent, name, path, &found, target_name),
                Ok(None) => Err(missing()),
                Err(errno) => Err(failed("look below for", &target)(errno)),
            },
            Err(Errno::NOTDIR) => Err(LayerError::NotADirectory(target.to_string())),
            Err(errno) => Err(failed("open", &target)(errno)),
        }
    }

    fn copy_up(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &EntryPath,
        found: &Found,
        found_name: &[u8],
    ) -> Result<(), LayerError> {
        if found.file_type() != FileType::RegularFile {
            return Err(failed("link to what is not a file:", path)(Errno::PERM));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(&found.parent, found_name, flags, Mode::empty());
        let mut source = File::from(source.map_err(failed("open", path))?);
        let copy = self.create(parent, name, path, |parent| {
            rustix::fs::openat(parent, name, NEW_FILE, Mode::RUSR | Mode::WUSR)
        })?;
        let mut copy = File::from(copy);
        let copied = io::copy(&mut source, &mut copy);
        copied.map_err(|source| LayerError::Io { action: "copy", path: path.to_string(), source })?;
        let mut metadata = found.metadata();
        metadata.attributes.extend(lower::capability(&source));
        metadata.apply(&copy).map_err(failed("set the owner of", path))
    }

    /// Makes something new called `name`; what has the name in this layer already gives way, as with every unpacker.
    fn create<T>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &EntryPath,
        make: impl Fn(&OwnedFd) -> Result<T, Errno>,
    ) -> Result<T, LayerError> {
        match make(parent) {
            Err(Errno::EXIST) => {
                self.last = None;
                self.is_replaced = true;
                remove(parent, name).map_err(failed("replace", path))?;
                make(parent).map_err(failed("create", path))
            }
            result => result.map_err(failed("create", path)),
        }
    }
}

/// Writes a file's data and then the rest.
fn write_data(
    file: File,
    size: u64,
    tar: &mut Reader<impl Skip>,
    path: &EntryPath,
    metadata: &Metadata,
) -> Result<(), LayerError> {
    let mut end = 0;
    tar.copy_data(|offset, bytes| {
        end = offset + bytes.len() as u64;
        file.write_all_at(bytes, offset)
    })
    .map_err(|error| match error {
        crate::tar::Error::Sink(source) => LayerError::Io { action: "write", path: path.to_string(), source },
        error => LayerError::Tar(error),
    })?;
    if end < size {
        let extended = file.set_len(size);
        extended.map_err(|source| LayerError::Io { action: "extend", path: path.to_string(), source })?;
    }
    metadata.apply(file.as_fd()).map_err(failed("set the owner of", path))
}
