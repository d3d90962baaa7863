//! Finding images: by name, by digest, by id and by the start of an id, in the order in which docker tries them.

use std::fs;
use std::sync::Arc;

use oci_spec::image::{Digest, ImageConfiguration};
use serde_json::Value;

use super::state::State;
use super::{Store, StoreError, digest};
use crate::reference::{Reference, is_hexadecimal, parse_digest};

/// All that is known of one image.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// The digest of the configuration.
    pub id: Digest,
    /// The digest of the manifest, of images that were pulled.
    pub manifest: Option<Digest>,
    pub config: Arc<ImageConfiguration>,
    /// The whole configuration; docker keeps more in it than the OCI type has.
    pub json: Arc<Value>,
    /// Names with a tag.
    pub tags: Vec<Reference>,
    /// Names with a digest.
    pub digests: Vec<Reference>,
    /// Bottom layer first.
    pub layers: Vec<StoredLayer>,
    /// When the image got a name last, in seconds since 1970.
    pub tagged: u64,
    /// Who holds the image.
    pub holders: Vec<String>,
}

/// One layer of an image.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    pub chain_id: Digest,
    pub diff_id: Digest,
    /// The data of all files, in bytes.
    pub size: u64,
}

impl StoredImage {
    /// The data of all files in all layers, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// The first twelve digits of the id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        short(self.id.digest())
    }
}

impl Store {
    /// Finds an image.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`] and [`StoreError::Reference`].
    pub fn find(&self, name: &str) -> Result<StoredImage, StoreError> {
        let state = self.lock().state.clone();
        let id = resolve(&state, name)?;
        self.image(&state, &id)
    }

    /// All images.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when a configuration cannot be read.
    pub fn list(&self) -> Result<Vec<StoredImage>, StoreError> {
        let state = self.lock().state.clone();
        let image = |id: &String| match self.image(&state, id) {
            // Removed since the state was copied.
            Err(_) if !self.lock().state.images.contains_key(id) => None,
            result => Some(result),
        };
        state.images.keys().filter_map(image).collect()
    }

    /// How many images there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().state.images.len()
    }

    /// The data of all files in all layers, each layer counted once, in bytes.
    #[must_use]
    pub fn layers_size(&self) -> u64 {
        self.lock().state.layers.values().fold(0, |sum, layer| sum.saturating_add(layer.content_length))
    }

    pub(super) fn image(&self, state: &State, id: &str) -> Result<StoredImage, StoreError> {
        let record = state.images.get(id).ok_or_else(|| StoreError::NoSuchImage(id.to_owned()))?;
        let bytes = self.document(id)?;
        let json: Value = serde_json::from_slice(&bytes).map_err(StoreError::Index)?;
        let config: ImageConfiguration = serde_json::from_slice(&bytes).map_err(StoreError::Index)?;
        let layer = |chain: &String| {
            let layer = state.layers.get(chain).ok_or_else(|| StoreError::NoSuchImage(id.to_owned()))?;
            let (chain_id, diff_id) = (digest(chain)?, digest(&layer.diff_id)?);
            Ok(StoredLayer { chain_id, diff_id, size: layer.content_length })
        };
        let names = state.names_of(id).map(Reference::parse).collect::<Result<Vec<_>, _>>()?;
        let (digests, tags) = names.into_iter().partition(|name: &Reference| name.digest().is_some());
        let holds = state.holds.iter().filter(|(_, hold)| hold.image == id);
        Ok(StoredImage {
            id: digest(id)?,
            manifest: record.manifest.as_deref().map(digest).transpose()?,
            config: Arc::new(config),
            json: Arc::new(json),
            tags,
            digests,
            layers: record.layers.iter().map(layer).collect::<Result<_, StoreError>>()?,
            tagged: record.tagged,
            holders: holds.map(|(holder, _)| holder.clone()).collect(),
        })
    }

    /// A configuration or manifest, as it came.
    pub(super) fn document(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.document_path(digest);
        fs::read(&path).map_err(StoreError::io("read", &path))
    }
}

/// The id of the image that is meant.
pub(super) fn resolve(state: &State, name: &str) -> Result<String, StoreError> {
    let id = if is_hexadecimal(name, 64) { format!("sha256:{name}") } else { name.to_owned() };
    if state.images.contains_key(&id) {
        return Ok(id);
    }
    if parse_digest(&id).is_some() {
        return Err(StoreError::NoSuchImage(name.to_owned()));
    }

    let reference = Reference::parse(name).map(Reference::or_latest);
    if let Ok(reference) = &reference {
        if let Some(id) = state.names.get(&reference.to_string()) {
            return Ok(id.clone());
        }
        // With a digest, a tag beside it says nothing.
        if let Some(digest) = reference.digest() {
            let named = reference.with_digest(digest.clone()).to_string();
            return state.names.get(&named).cloned().ok_or_else(|| no_such(reference));
        }
    }
    let start = name.strip_prefix("sha256:").unwrap_or(name);
    if is_hexadecimal(start, start.len()) && !start.is_empty() {
        let start = format!("sha256:{start}");
        let mut found = state.images.keys().filter(|id| id.starts_with(&start));
        if let (Some(id), None) = (found.next(), found.next()) {
            return Ok(id.clone());
        }
    }
    Err(match reference {
        Ok(reference) => no_such(&reference),
        Err(_) if name.starts_with("sha256:") => StoreError::NoSuchImage(name.to_owned()),
        Err(error) => error.into(),
    })
}

/// Whether `name` means the image `id` by its digits, and not by a name that it has.
pub(super) fn is_id(id: &str, name: &str) -> bool {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    !name.is_empty() && (id.starts_with(name) && name.contains(':') || hex.starts_with(name))
}

fn no_such(reference: &Reference) -> StoreError {
    StoreError::NoSuchImage(reference.familiar())
}

/// Twelve digits of an id, as docker shows it.
pub(super) fn short(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}
