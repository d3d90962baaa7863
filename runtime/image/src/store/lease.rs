//! [`Lease`]: brings an image in. What was brought in stays while the lease lives, though no image needs it yet.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use flate2::Compression as Level;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use oci_spec::image::Digest;

use super::find::resolve;
use super::state::{ImageRecord, LayerRecord};
use super::{Store, StoreError, StoredImage, now, remove_all};
use crate::digest::sha256;
use crate::frame::{Recorder, Replay};
use crate::unpack::{Source, unpack_source};
use crate::{Error, Reference};

/// A claim on what was brought in.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    number: u64,
}

/// A file or folder of `ingest/` that goes when this goes.
#[derive(Debug)]
pub struct Ingest {
    pub path: PathBuf,
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // What stays is swept by the next start.
        let _ = remove_all(&self.path);
    }
}

/// The id of a layer on top of others, as the image specification computes it.
#[must_use]
pub fn chain_id(parent: Option<&Digest>, diff_id: &Digest) -> Digest {
    match parent {
        Some(parent) => sha256(format!("{parent} {diff_id}").as_bytes()),
        None => diff_id.clone(),
    }
}

impl Store {
    /// Starts bringing something in.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let mut memory = self.lock();
        let number = memory.next_lease;
        memory.next_lease += 1;
        memory.leases.insert(number, BTreeSet::new());
        Lease { store: self.clone(), number }
    }

    /// A path for something that is on its way in.
    pub fn ingest(&self) -> Ingest {
        Ingest { path: self.ingest_path() }
    }

    /// The plain tar of a layer, byte for byte as it came.
    pub(super) fn layer_tar(&self, number: u64) -> Result<Replay<impl Read + use<>>, StoreError> {
        let path = self.frame_path(number);
        let frame = File::open(&path).map_err(StoreError::io("open", &path))?;
        let frame = BufReader::new(GzDecoder::new(BufReader::new(frame)));
        let directory = self.layer_path(number);
        Replay::new(frame, &directory).map_err(StoreError::io("open", &directory))
    }
}

impl Lease {
    /// Keeps what an image has, if it is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`] and [`StoreError::Reference`].
    pub fn image(&self, name: &str) -> Result<StoredImage, StoreError> {
        let mut memory = self.store.lock();
        let id = resolve(&memory.state, name)?;
        let record = memory.state.images.get(&id).cloned();
        let layers = record.iter().flat_map(|record| record.layers.iter().cloned());
        let manifest = record.iter().filter_map(|record| record.manifest.clone());
        let kept: Vec<String> = layers.chain(manifest).chain([id.clone()]).collect();
        memory.leases.entry(self.number).or_default().extend(kept);
        let state = memory.state.clone();
        drop(memory);
        self.store.image(&state, &id)
    }

    /// Whether the layer with this chain id is there; it stays then.
    #[must_use]
    pub fn has_layer(&self, chain: &Digest) -> bool {
        let mut memory = self.store.lock();
        let chain = chain.to_string();
        let is_there = memory.state.layers.contains_key(&chain);
        if is_there {
            memory.leases.entry(self.number).or_default().insert(chain);
        }
        is_there
    }

    /// Unpacks a layer on top of those `below` (chain ids, bottom first), which this lease has brought in or found, unless it is
    /// there already. `open` gives the layer's stream from the start; it is called once, and again for the rare layer that writes
    /// a path twice.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the layer; nothing is left of it then.
    pub fn add_layer<R: Read>(
        &self,
        below: &[Digest],
        diff_id: &Digest,
        open: impl FnMut() -> Result<Source<R>, Error>,
    ) -> Result<Digest, StoreError> {
        let chain = chain_id(below.last(), diff_id);
        if self.begin(&chain) {
            return Ok(chain);
        }
        let result = self.unpack(below, &chain, diff_id, open);
        self.store.lock().unpacking.remove(&chain.to_string());
        self.store.inner.unpacked.notify_all();
        result.map(|()| chain)
    }

    /// Waits while somebody else unpacks the layer; true when it is there, otherwise it is ours to unpack.
    fn begin(&self, chain: &Digest) -> bool {
        let key = chain.to_string();
        loop {
            if self.has_layer(chain) {
                return true;
            }
            let mut memory = self.store.lock();
            if memory.state.layers.contains_key(&key) {
                continue;
            }
            memory.leases.entry(self.number).or_default().insert(key.clone());
            if memory.unpacking.insert(key.clone()) {
                return false;
            }
            drop(self.store.inner.unpacked.wait(memory).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn unpack<R: Read>(
        &self,
        below: &[Digest],
        chain: &Digest,
        diff_id: &Digest,
        mut open: impl FnMut() -> Result<Source<R>, Error>,
    ) -> Result<(), StoreError> {
        let below: Vec<String> = below.iter().map(ToString::to_string).collect();
        let lower = self.store.directories(&self.store.lock().state, &below);
        let (directory, frame) = (self.store.ingest(), self.store.ingest());
        let mut record = Frame::create(&frame.path)?;
        let unpacked = unpack_source(open()?, &directory.path, &lower, &mut record.encoder)?;
        if !unpacked.is_recorded {
            drop(record);
            record = Frame::create(&frame.path)?;
            record.write_all_of(open()?)?;
        }
        record.finish()?;

        self.store.change(|state| {
            let number = state.next;
            state.next += 1;
            let place = |from: &Path, to: &Path| fs::rename(from, to).map_err(StoreError::io("create", to));
            // Files that the index does not name yet may be there from a change that could not be written.
            remove_all(&self.store.layer_path(number))?;
            place(&directory.path, &self.store.layer_path(number))?;
            place(&frame.path, &self.store.frame_path(number))?;
            let record = LayerRecord {
                number,
                diff_id: diff_id.to_string(),
                content_length: unpacked.content_length,
                tar_length: unpacked.tar_length,
            };
            state.layers.insert(chain.to_string(), record);
            Ok(())
        })
    }

    /// Makes an image of layers that this lease has brought in or found, and gives it names. With a `manifest`, it can be found by the
    /// manifest's digest.
    ///
    /// # Errors
    ///
    /// When the store is full. Then nothing has changed.
    pub fn add_image(
        &self,
        config: &[u8],
        manifest: Option<&[u8]>,
        layers: &[Digest],
        names: &[Reference],
    ) -> Result<StoredImage, StoreError> {
        let id = sha256(config).to_string();
        let manifest_digest = manifest.map(|manifest| sha256(manifest).to_string());
        {
            let mut memory = self.store.lock();
            let kept = memory.leases.entry(self.number).or_default();
            kept.insert(id.clone());
            kept.extend(manifest_digest.clone());
        }
        self.store.replace_file(&self.store.document_path(&id), config)?;
        if let (Some(digest), Some(manifest)) = (&manifest_digest, manifest) {
            self.store.replace_file(&self.store.document_path(digest), manifest)?;
        }
        self.store.change(|state| {
            let record = ImageRecord {
                // Loading an image that was pulled does not make it forget where it is from.
                manifest: manifest_digest
                    .or_else(|| state.images.get(&id).and_then(|image| image.manifest.clone())),
                layers: layers.iter().map(ToString::to_string).collect(),
                tagged: now(),
            };
            state.images.insert(id.clone(), record);
            for name in names {
                state.names.insert(name.clone().or_latest().to_string(), id.clone());
            }
            Ok(())
        })?;
        self.image(&id)
    }
}

/// The record of a layer's tar in the making.
struct Frame<'a> {
    path: &'a Path,
    encoder: GzEncoder<BufWriter<File>>,
}

impl<'a> Frame<'a> {
    fn create(path: &'a Path) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io("create", path))?;
        Ok(Self { path, encoder: GzEncoder::new(BufWriter::new(file), Level::fast()) })
    }

    /// Records the whole tar, data included.
    fn write_all_of<R: Read>(&mut self, source: Source<R>) -> Result<(), StoreError> {
        let plain = source.compression.decode(BufReader::new(source.reader));
        let written = Recorder::new(plain, &mut self.encoder).finish();
        written.map(drop).map_err(StoreError::io("write", self.path))
    }

    fn finish(self) -> Result<(), StoreError> {
        let written = self.encoder.finish().and_then(|mut file| {
            file.flush()?;
            file.get_ref().sync_all()
        });
        written.map_err(StoreError::io("write", self.path))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.store.lock().leases.remove(&self.number);
        // What cannot be removed now is swept by the next change or start.
        let _ = self.store.change(|_| Ok(()));
    }
}
