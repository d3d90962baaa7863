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
use std::io::{self, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::compression::Compression;
use crate::digest::{Hasher, HashingReader};
use crate::error::LayerError;
use crate::tar::{Reader, Stream};
use crate::{Error, Image, Layer};

/// The longest path of an entry, in bytes: Linux's PATH_MAX.
pub const PATH_LIMIT: usize = 4096;

/// How much of the stored layer is read at a time, in bytes.
const READ_BUFFER: usize = 128 << 10;

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
    let directory =
        |action| move |source| Error::Directory { action, path: into.display().to_string(), source };
    fs::DirBuilder::new().mode(0o755).create(into).map_err(directory("create"))?;
    let result = unpack_verified(image, layer, into, lower, progress);
    if result.is_err() {
        fs::remove_dir_all(into).map_err(directory("remove"))?;
    }
    result
}

fn unpack_verified(
    image: &Image,
    layer: &Layer,
    into: &Path,
    lower: &[PathBuf],
    progress: impl FnMut(u64),
) -> Result<(), Error> {
    let label = layer.label();
    let stored = Progress { inner: image.open_layer(layer)?, done: 0, report: progress };
    // A plain layer's two digests are of the same bytes and a docker archive promises only one: those are hashed once.
    let stored_digest = layer
        .digest
        .as_ref()
        .filter(|&digest| layer.compression != Compression::Plain || *digest != layer.diff_id);
    let mut stored = HashingReader::new(stored, stored_digest.map(Hasher::of).transpose()?);
    let plain = layer.compression.decode(BufReader::with_capacity(READ_BUFFER, &mut stored));
    let mut plain = HashingReader::new(plain, Some(Hasher::of(&layer.diff_id)?));

    let unpacked = write_entries(&mut plain, into, lower);
    // A wrong digest explains whatever else went wrong, so it is told first if the rest can still be read.
    let decode_error = |source| Error::Decode { layer: label.clone(), source };
    let plain = plain.into_hash().map_err(decode_error);
    let stored = stored.into_hash().map_err(|source| Error::Read { name: layer.name.clone(), source })?;
    if let (Some(stored), Some(digest)) = (stored, stored_digest) {
        stored.verify(format!("layer `{}`", layer.name), digest)?;
    }
    match (plain, unpacked) {
        (Ok(plain), unpacked) => {
            let plain = plain.expect("a hasher was given for the content");
            plain.verify(format!("content of layer {label}"), &layer.diff_id)?;
            unpacked.map_err(|source| Error::Layer { layer: label, source })
        }
        (Err(_), Err(source)) if !matches!(source, LayerError::Tar(_)) => {
            Err(Error::Layer { layer: label, source })
        }
        (Err(error), _) => Err(error),
    }
}

fn write_entries(plain: &mut impl Read, into: &Path, lower: &[PathBuf]) -> Result<(), LayerError> {
    let mut writer = write::Writer::new(into, lower)?;
    let mut tar = Reader::new(Stream(plain));
    while let Some(entry) = tar.next_entry()? {
        writer.write(&entry, &mut tar)?;
    }
    writer.finish()
}

/// Tells how far reading has come.
struct Progress<R, F> {
    inner: R,
    done: u64,
    report: F,
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
fn failed(action: &'static str, path: &path::EntryPath) -> impl FnOnce(Errno) -> LayerError {
    let path = path.to_string();
    move |errno| LayerError::Io { action, path, source: errno.into() }
}
