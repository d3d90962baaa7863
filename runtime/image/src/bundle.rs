//! Where an image's named pieces are: a tar read in place (a disk, a file) or a folder.
//!
//! A [`Bundle`] only finds bytes by name. It verifies nothing; [`Image`](crate::Image) does.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::Digest;

use crate::Error;
use crate::digest::Hasher;
use crate::tar::{Kind, Reader, Skip, Stream};

/// How many links in a row are followed inside an archive: old `docker save` has one, a loop has no end.
const MAX_LINKS: usize = 8;

/// The largest piece of metadata (index, manifest, configuration) that is read into memory, in bytes; the limit that
/// the OCI distribution specification sets for manifests.
pub const METADATA_LIMIT: u64 = 4 << 20;

/// The most entries of an archive that is spooled: a hundred images with a hundred layers, three entries each, in old archives.
const ENTRY_LIMIT: usize = 65_536;

/// The longest name in an archive that is spooled, in bytes.
const PATH_LIMIT: usize = 4096;

/// The pieces of an image by name, such as `blobs/sha256/…`.
#[derive(Debug)]
pub enum Bundle {
    /// A tar that was indexed once and is read in place.
    Archive { file: Arc<File>, index: HashMap<String, Place> },
    /// A folder with the same names as files.
    Folder(PathBuf),
    /// A tar from a stream whose files were written into a folder, each under a number, and hashed on the way.
    Spool { folder: PathBuf, index: HashMap<String, Place> },
}

/// Where an archive has one piece.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the archive itself; both in bytes.
    Bytes { offset: u64, length: u64 },
    /// In the file with this number, which has this sha256, if it was computed.
    Spooled { number: usize, digest: Option<Digest> },
    /// Under another name.
    Link(String),
}

impl Bundle {
    /// Indexes the tar in `file`, which may be a block device longer than the tar. Contents are not read.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`] when the tar's structure is broken.
    pub fn archive(mut file: File) -> Result<Self, Error> {
        // A disk tells its size by seeking, not by metadata. A size of 0 means that the kernel does not tell.
        let length = match file.seek(SeekFrom::End(0)) {
            Ok(length) if length > 0 => length,
            _ => u64::MAX,
        };
        let file = Arc::new(file);
        let mut index = HashMap::new();
        let mut tar = Reader::new(Blob { file: Arc::clone(&file), offset: 0, length, position: 0 });
        while let Some(entry) = tar.next_entry().map_err(Error::Archive)? {
            let name = normal(&String::from_utf8_lossy(&entry.path), "");
            let place = match entry.kind {
                Kind::File => Place::Bytes { offset: tar.source().position, length: entry.size },
                Kind::HardLink => Place::Link(normal(&String::from_utf8_lossy(&entry.link), "")),
                Kind::Symlink => Place::Link(normal(&String::from_utf8_lossy(&entry.link), &name)),
                _ => continue,
            };
            index.insert(name, place);
        }
        Ok(Self::Archive { file, index })
    }

    /// Writes the files of the tar in `archive` into the new folder `folder`. The folder is the caller's to remove, also after an error.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`] when the tar is broken or the folder is full, [`Error::TooMany`] entries.
    pub fn spool(archive: impl Read, folder: &Path) -> Result<Self, Error> {
        let failed = |action| {
            let path = folder.display().to_string();
            move |source| Error::Directory { action, path, source }
        };
        std::fs::create_dir(folder).map_err(failed("create"))?;
        let mut index = HashMap::new();
        let mut tar = Reader::new(Stream(archive));
        let mut number = 0;
        while let Some(entry) = tar.next_entry().map_err(Error::Archive)? {
            number += 1;
            if number > ENTRY_LIMIT {
                return Err(Error::TooMany(ENTRY_LIMIT));
            }
            if entry.path.len().max(entry.link.len()) > PATH_LIMIT {
                return Err(Error::Archive(crate::tar::Error::ExtensionTooLarge(PATH_LIMIT as u64)));
            }
            let name = normal(&String::from_utf8_lossy(&entry.path), "");
            let place = match entry.kind {
                Kind::File => {
                    let file =
                        File::create_new(folder.join(number.to_string())).map_err(failed("write to"))?;
                    let mut content = Content::new();
                    tar.copy_data(|offset, bytes| {
                        content.take(offset, bytes);
                        file.write_all_at(bytes, offset)
                    })
                    .map_err(Error::Archive)?;
                    Place::Spooled { number, digest: content.digest(entry.size) }
                }
                Kind::HardLink => Place::Link(normal(&String::from_utf8_lossy(&entry.link), "")),
                Kind::Symlink => Place::Link(normal(&String::from_utf8_lossy(&entry.link), &name)),
                _ => continue,
            };
            index.insert(name, place);
        }
        Ok(Self::Spool { folder: folder.to_owned(), index })
    }

    /// Gives up the room of a spooled piece that is not needed any more; what is not spooled stays.
    pub fn discard(&self, name: &str) {
        if let Self::Spool { folder, index } = self
            && let Some(Place::Spooled { number, .. }) = follow(index, name)
        {
            // What cannot be removed goes with the folder.
            let _ = std::fs::remove_file(folder.join(number.to_string()));
        }
    }

    /// Finds the piece called `name`. None when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when a file of a folder cannot be opened.
    pub fn open(&self, name: &str) -> Result<Option<Blob>, Error> {
        match self {
            Self::Archive { file, index } => match follow(index, name) {
                Some(&Place::Bytes { offset, length }) => {
                    Ok(Some(Blob { file: Arc::clone(file), offset, length, position: 0 }))
                }
                _ => Ok(None),
            },
            Self::Spool { folder, index } => match follow(index, name) {
                Some(Place::Spooled { number, .. }) => open_file(&folder.join(number.to_string()), name),
                _ => Ok(None),
            },
            Self::Folder(folder) => open_file(&folder.join(name), name),
        }
    }

    /// The sha256 of the piece called `name`, if it is known without reading it.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<&Digest> {
        match self {
            Self::Spool { index, .. } => match follow(index, name) {
                Some(Place::Spooled { digest, .. }) => digest.as_ref(),
                _ => None,
            },
            Self::Archive { .. } | Self::Folder(_) => None,
        }
    }

    /// Reads a piece of metadata whole. None when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] beyond [`METADATA_LIMIT`], [`Error::Read`] when reading fails.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut blob) = self.open(name)? else { return Ok(None) };
        if blob.length > METADATA_LIMIT {
            return Err(Error::TooLarge { name: name.to_owned(), limit: METADATA_LIMIT });
        }
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map_err(|source| Error::Read { name: name.to_owned(), source })?;
        Ok(Some(bytes))
    }
}

/// The running hash of a file that is written front to back. One with holes has none: they may be larger than any data.
#[derive(Debug)]
struct Content {
    hasher: Hasher,
    length: u64,
    is_whole: bool,
}

impl Content {
    fn new() -> Self {
        Self { hasher: Hasher::sha256(), length: 0, is_whole: true }
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) {
        self.is_whole &= offset == self.length;
        if self.is_whole {
            self.hasher.update(bytes);
            self.length += bytes.len() as u64;
        }
    }

    fn digest(self, size: u64) -> Option<Digest> {
        (self.is_whole && self.length == size).then(|| self.hasher.finish())
    }
}

/// The place of a piece, through links.
fn follow<'a>(index: &'a HashMap<String, Place>, name: &str) -> Option<&'a Place> {
    let (mut place, mut rest) = (index.get(name)?, MAX_LINKS);
    while let Place::Link(target) = place {
        rest = rest.checked_sub(1)?;
        place = index.get(target)?;
    }
    Some(place)
}

fn open_file(path: &Path, name: &str) -> Result<Option<Blob>, Error> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) if metadata.is_file() => {
            Ok(Some(Blob { file: Arc::new(file), offset: 0, length: metadata.len(), position: 0 }))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(Error::Read { name: name.to_owned(), source }),
    }
}

/// A name as the index has it: relative to the folder of `base`, without `.` and `..` components. Nothing is opened by
/// such a name outside of the archive, so `..` beyond the top needs no refusal: it finds nothing.
fn normal(name: &str, base: &str) -> String {
    let mut components: Vec<&str> = base.split('/').collect();
    components.pop();
    for component in name.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    components.join("/")
}

/// One piece of an image, read from its start; several can be read at a time.
#[derive(Debug)]
pub struct Blob {
    file: Arc<File>,
    offset: u64,
    length: u64,
    position: u64,
}

impl Blob {
    /// Length in bytes. (That the archive or disk really goes on so long shows when reading.)
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.position).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let at = self.offset.checked_add(self.position).ok_or(io::ErrorKind::UnexpectedEof)?;
        let count = self.file.read_at(buffer, at)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Skip for Blob {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let position = self.position.checked_add(bytes).filter(|&position| position <= self.length);
        self.position = position.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn links_are_relative_to_their_folder() {
        assert_eq!(normal("../b/layer.tar", "a/layer.tar"), "b/layer.tar");
        assert_eq!(normal("./index.json", ""), "index.json");
        assert_eq!(normal("../../../etc/passwd", "a/b"), "etc/passwd");
    }
}
