//! `docker load`: a tar of images from a stream, which nobody has judged yet.
//!
//! The tar's list of images may be its last entry, so all of it is taken in first, piece by piece; a piece goes as soon as its layer is unpacked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use super::{Store, StoreError};
use crate::bundle::Bundle;
use crate::compression::Compression;
use crate::image::Named;
use crate::{Error, Image, Reference};

/// How loading goes on.
#[derive(Clone, Copy, Debug)]
pub struct LoadEvent<'a> {
    /// The layer's digest.
    pub layer: &'a str,
    /// Bytes done and in all.
    pub done: u64,
    pub total: u64,
}

/// An image that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub id: String,
    pub names: Vec<Reference>,
}

impl Store {
    /// Loads every image of a docker archive or OCI layout, compressed or not. `progress` says whether anybody still wants it.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the archive, or that nobody wants it. Images before the one at fault stay; of that one nothing is left.
    pub fn load(
        &self,
        archive: impl Read,
        progress: &mut dyn FnMut(LoadEvent<'_>) -> bool,
    ) -> Result<Vec<Loaded>, StoreError> {
        let spool = self.ingest();
        let bundle = Bundle::spool(plain(archive)?, &spool.path)?;
        let images = Image::open_all(bundle)?;

        // How many images still need each piece.
        let mut needed = HashMap::<String, usize>::new();
        for layer in images.iter().flat_map(|named| &named.image.layers) {
            *needed.entry(layer.name.clone()).or_default() += 1;
        }
        let progress = RefCell::new(progress);
        images.iter().map(|named| self.load_image(named, &mut needed, &progress)).collect()
    }

    fn load_image(
        &self,
        Named { image, names }: &Named,
        needed: &mut HashMap<String, usize>,
        progress: &RefCell<&mut dyn FnMut(LoadEvent<'_>) -> bool>,
    ) -> Result<Loaded, StoreError> {
        let names = names
            .iter()
            .map(|name| Reference::parse(name).map(Reference::or_latest))
            .collect::<Result<Vec<_>, _>>()?;
        let lease = self.lease();
        let mut chain = Vec::new();
        for layer in &image.layers {
            let label = layer.diff_id.to_string();
            let is_wanted = Cell::new(true);
            let tell = |done| {
                let event = LoadEvent { layer: &label, done, total: layer.size };
                is_wanted.set((progress.borrow_mut())(event));
            };
            let open = || {
                let source = image.layer_source(layer, tell)?;
                Ok(source.map(|inner| WhileWanted { inner, is_wanted: &is_wanted }))
            };
            let id = lease.add_layer(&chain, &layer.diff_id, open)?;
            chain.push(id);
            if let Some(count) = needed.get_mut(&layer.name) {
                *count -= 1;
                if *count == 0 {
                    image.bundle.discard(&layer.name);
                }
            }
        }
        let image = lease.add_image(&image.config_json, None, &chain, &names)?;
        Ok(Loaded { id: image.id.to_string(), names })
    }
}

/// A layer that ends with an error once nobody wants it any more, so that whoever waits for the same one gets its turn.
struct WhileWanted<'a, R> {
    inner: R,
    is_wanted: &'a Cell<bool>,
}

impl<R: Read> Read for WhileWanted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if self.is_wanted.get() { Ok(count) } else { Err(io::Error::other("the client has gone")) }
    }
}

/// The tar inside a stream that may be compressed.
fn plain<'a>(archive: impl Read + 'a) -> Result<Box<dyn Read + 'a>, StoreError> {
    let mut archive = BufReader::with_capacity(128 << 10, archive);
    let mut start = Vec::new();
    let read_error = |source| Error::Read { name: "archive".to_owned(), source };
    archive.by_ref().take(6).read_to_end(&mut start).map_err(read_error)?;
    let refused = match start.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        _ => None,
    };
    if let Some(name) = refused {
        return Err(Error::MediaType(format!("application/x-{name}")).into());
    }
    let compression = Compression::of_magic(&start);
    Ok(compression.decode(BufReader::new(io::Cursor::new(start).chain(archive))))
}
