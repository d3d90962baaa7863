//! Unpacking one layer into a directory of its own, in the form that overlayfs takes as a lower directory.
//!
//! [`unpack`] drives; `path.rs` judges names, `tree.rs` walks without ever following a link, `write.rs` makes entries,
//! `whiteout.rs` translates deletions, `lower.rs` looks into the layers below. A layer's tar is written by the image's author:
//! it may hold anything, and nothing in it may reach outside of the directory.

mod lower;
mod metadata;
mod path;
#[cfg(test)]
mod tests;
mod tree;
mod whiteout;
mod write;

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::image::Digest;
use rustix::io::Errno;

use crate::compression::Compression;
use crate::digest::{Hasher, HashingReader};
use crate::error::LayerError;
use crate::frame::Recorder;
use crate::remove_tree;
use crate::tar::{self, Reader};
use crate::{Error, Image, Layer};

pub use path::EntryPath;
pub(crate) use tree::{Tree, status};

/// The longest path of an entry, in bytes: Linux's PATH_MAX.
pub const PATH_LIMIT: usize = 4096;

/// How much of the stored layer is read at a time, in bytes.
const READ_BUFFER: usize = 128 << 10;

/// A layer as a stream, with what was promised of it.
#[derive(Debug)]
pub struct Source<R> {
    pub reader: R,
    /// What to call the layer in a message.
    pub label: String,
    /// What to call the stored bytes in a message.
    pub name: String,
    pub compression: Compression,
    /// The digest of the stored bytes. None when only the content is promised.
    pub digest: Option<Digest>,
    /// The digest of the plain tar.
    pub diff_id: Digest,
    /// What the sha256 of the stored bytes is, if whoever has stored them knows: it is compared then, and not computed again.
    pub known: Option<Digest>,
}

impl<R> Source<R> {
    /// The same, read through what `wrap` makes of its reader.
    pub fn map<T>(self, wrap: impl FnOnce(R) -> T) -> Source<T> {
        Source {
            reader: wrap(self.reader),
            label: self.label,
            name: self.name,
            compression: self.compression,
            digest: self.digest,
            diff_id: self.diff_id,
            known: self.known,
        }
    }
}

/// What unpacking tells of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Data of all files, in bytes.
    pub content_length: u64,
    /// The plain tar, in bytes.
    pub tar_length: u64,
    /// Whether the record and the files are all of the tar. Not so when the layer has written a path twice.
    pub is_recorded: bool,
}

/// Unpacks `layer` into the new directory `into`, verifying both of its digests on the way.
///
/// `lower` are the directories of the layers below, topmost first: a hard link may point into them, and a directory that
/// the layer only passes through gets owner and mode from there. `progress` is told how many stored bytes are done.
///
/// # Errors
///
/// Whatever is wrong with the layer; `into` is removed again.
pub fn unpack(
    image: &Image,
    layer: &Layer,
    into: &Path,
    lower: &[PathBuf],
    progress: impl FnMut(u64),
) -> Result<(), Error> {
    unpack_source(image.layer_source(layer, progress)?, into, lower, io::sink()).map(drop)
}

/// Unpacks like [`unpack`] from any source, and writes the tar's [`frame`](crate::frame) to `record`.
///
/// # Errors
///
/// Whatever is wrong with the layer; `into` is removed again.
pub fn unpack_source<R: Read>(
    source: Source<R>,
    into: &Path,
    lower: &[PathBuf],
    record: impl Write,
) -> Result<Unpacked, Error> {
    let directory =
        |action| move |source| Error::Directory { action, path: into.display().to_string(), source };
    fs::DirBuilder::new().mode(0o755).create(into).map_err(directory("create"))?;
    let result = unpack_verified(source, into, lower, record);
    if result.is_err() {
        remove_tree(into).map_err(directory("remove"))?;
    }
    result
}

fn unpack_verified<R: Read>(
    source: Source<R>,
    into: &Path,
    lower: &[PathBuf],
    record: impl Write,
) -> Result<Unpacked, Error> {
    let Source { reader, label, name, compression, digest, diff_id, known } = source;
    let is_known = |digest: &Digest| known.as_ref().filter(|known| known.algorithm() == digest.algorithm());
    // A plain layer's two digests are of the same bytes and a docker archive promises only one: those are hashed once.
    let mut stored_digest =
        digest.as_ref().filter(|&digest| compression != Compression::Plain || *digest != diff_id);
    if let Some((digest, known)) = stored_digest.and_then(|digest| Some((digest, is_known(digest)?))) {
        compare(format!("layer `{name}`"), digest, known)?;
        stored_digest = None;
    }
    let known_content = is_known(&diff_id).filter(|_| compression == Compression::Plain);
    if let Some(known) = known_content {
        compare(format!("content of layer {label}"), &diff_id, known)?;
    }
    let content_hasher = known_content.is_none().then(|| Hasher::of(&diff_id)).transpose()?;
    let mut stored = HashingReader::new(reader, stored_digest.map(Hasher::of).transpose()?);
    let plain = compression.decode(BufReader::with_capacity(READ_BUFFER, &mut stored));
    let mut plain = HashingReader::new(plain, content_hasher);
    let recorder = Recorder::new(&mut plain, record);

    let unpacked = write_entries(recorder, into, lower);
    // A wrong digest explains whatever else went wrong, so it is told first if the rest can still be read.
    let decode_error = |source| Error::Decode { layer: label.clone(), source };
    let plain = plain.into_hash().map_err(decode_error);
    let stored = stored.into_hash().map_err(|source| Error::Read { name: name.clone(), source })?;
    if let ((Some(stored), _), Some(digest)) = (stored, stored_digest) {
        stored.verify(format!("layer `{name}`"), digest)?;
    }
    match (plain, unpacked) {
        (Ok(plain), unpacked) => {
            let (plain, tar_length) = plain;
            if let Some(plain) = plain {
                plain.verify(format!("content of layer {label}"), &diff_id)?;
            }
            let (content_length, is_recorded) =
                unpacked.map_err(|source| Error::Layer { layer: label, source })?;
            Ok(Unpacked { content_length, tar_length, is_recorded })
        }
        (Err(_), Err(source)) if !matches!(source, LayerError::Tar(_)) => {
            Err(Error::Layer { layer: label, source })
        }
        (Err(error), _) => Err(error),
    }
}

fn compare(what: String, expected: &Digest, actual: &Digest) -> Result<(), Error> {
    if expected == actual {
        Ok(())
    } else {
        Err(Error::Mismatch { what, expected: expected.clone(), actual: actual.clone() })
    }
}

/// Makes all entries. Returns the length of all data, and whether the record is whole.
fn write_entries<R: Read, W: Write>(
    recorder: Recorder<R, W>,
    into: &Path,
    lower: &[PathBuf],
) -> Result<(u64, bool), LayerError> {
    let mut writer = write::Writer::new(into, lower)?;
    let mut tar = Reader::new(recorder);
    while let Some(entry) = tar.next_entry()? {
        writer.write(&entry, &mut tar)?;
    }
    let is_recorded = writer.finish()?;
    let content_length = tar.into_source().finish().map_err(tar::Error::from)?;
    Ok((content_length, is_recorded))
}

/// Tells how far reading has come.
#[derive(Debug)]
pub struct Progress<R, F> {
    inner: R,
    done: u64,
    report: F,
}

impl<R: Read, F: FnMut(u64)> Progress<R, F> {
    /// Tells `report` how many bytes were read in all, after each read.
    pub fn new(inner: R, report: F) -> Self {
        Self { inner, done: 0, report }
    }
}

impl<R: Read, F: FnMut(u64)> Read for Progress<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        (self.report)(self.done);
        Ok(count)
    }
}

/// Turns a failed call about a path into a line.
fn failed(action: &'static str, path: &EntryPath) -> impl FnOnce(Errno) -> LayerError {
    let path = path.to_string();
    move |errno| LayerError::Io { action, path, source: errno.into() }
}
