//! `docker save`: images as a tar that is a docker archive and an OCI layout at once, as docker has written it since version 25.
//!
//! Layers are written plain, each once. Nothing in the tar depends on when or where it is written.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{Lease, Store, StoreError, StoredImage};
use crate::Reference;
use crate::digest::{Hasher, HashingReader, sha256};

/// Images that are about to be written; they stay until this goes.
#[derive(Debug)]
pub struct Export {
    lease: Lease,
    store: Store,
    images: Vec<Selected>,
}

/// An image and those of its names that were asked for.
#[derive(Debug)]
struct Selected {
    image: StoredImage,
    names: Vec<Reference>,
}

impl Store {
    /// Finds the images called `names`; a repository's name without a tag means all of its tags.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchImage`] and [`StoreError::Reference`].
    pub fn export(&self, names: &[String]) -> Result<Export, StoreError> {
        let lease = self.lease();
        let mut images: Vec<Selected> = Vec::new();
        for name in names {
            let mut found = Vec::new();
            match Reference::parse(name) {
                Ok(reference) if reference.tag().is_none() && reference.digest().is_none() => {
                    let all = self.list()?.into_iter().flat_map(|image| image.tags);
                    found.extend(all.filter(|tag| tag.repository() == reference).map(Some));
                }
                Ok(reference) if reference.digest().is_none() => found.push(Some(reference)),
                _ => {}
            }
            if found.is_empty() {
                found.push(None);
            }
            for reference in found {
                let image = match &reference {
                    Some(reference) => lease.image(&reference.to_string())?,
                    None => lease.image(name)?,
                };
                let place = images.iter().position(|selected| selected.image.id == image.id);
                let place = place.unwrap_or_else(|| {
                    images.push(Selected { image, names: Vec::new() });
                    images.len() - 1
                });
                let selected = images.get_mut(place).expect("found or pushed just now");
                selected.names.extend(reference.filter(|reference| !selected.names.contains(reference)));
            }
        }
        Ok(Export { lease, store: self.clone(), images })
    }
}

impl Export {
    /// Writes the tar.
    ///
    /// # Errors
    ///
    /// When `sink` fails, or a layer is not what it was.
    pub fn write(&self, sink: impl Write) -> io::Result<()> {
        let mut tar = Builder::new(sink);
        let mut written = BTreeSet::new();
        let (mut manifests, mut items, mut repositories) = (Vec::new(), Vec::new(), json!({}));
        for folder in ["blobs/", "blobs/sha256/"] {
            tar.append(&header(EntryType::Directory, folder, 0)?, io::empty())?;
        }
        for Selected { image, names } in &self.images {
            let mut layers = Vec::new();
            for layer in &image.layers {
                let length = self.layer_length(layer.chain_id.as_ref())?;
                layers.push(descriptor(
                    "application/vnd.oci.image.layer.v1.tar",
                    layer.diff_id.as_ref(),
                    length,
                ));
                if written.insert(layer.diff_id.to_string()) {
                    self.write_layer(&mut tar, layer, length)?;
                }
            }
            let config = self.store.document(image.id.as_ref()).map_err(io::Error::other)?;
            let config =
                write_blob(&mut tar, "application/vnd.oci.image.config.v1+json", &config, &mut written)?;
            let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config, "layers": layers});
            let manifest = manifest.to_string();
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            let manifest = write_blob(&mut tar, media_type, manifest.as_bytes(), &mut written)?;
            manifests.extend(entries(&manifest, names));

            let path = |digest: &str| format!("blobs/{}", digest.replacen(':', "/", 1));
            let paths: Vec<String> = image.layers.iter().map(|layer| path(layer.diff_id.as_ref())).collect();
            let tags: Vec<String> = names.iter().map(Reference::familiar).collect();
            items.push(json!({"Config": path(image.id.as_ref()), "RepoTags": tags, "Layers": paths}));
            let top = image.layers.last().map(|layer| layer.diff_id.digest());
            for name in names {
                repositories[name.repository().familiar()][name.tag().unwrap_or_default()] = json!(top);
            }
        }
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests});
        write_file(&mut tar, "index.json", index.to_string().as_bytes())?;
        write_file(&mut tar, "manifest.json", json!(items).to_string().as_bytes())?;
        write_file(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write_file(&mut tar, "repositories", repositories.to_string().as_bytes())?;
        tar.into_inner()?.flush()
    }

    fn layer_length(&self, chain: &str) -> io::Result<u64> {
        let memory = self.store.lock();
        let layer = memory.state.layers.get(chain).ok_or(io::ErrorKind::NotFound)?;
        Ok(layer.tar_length)
    }

    fn write_layer<W: Write>(
        &self,
        tar: &mut Builder<W>,
        layer: &super::StoredLayer,
        length: u64,
    ) -> io::Result<()> {
        debug_assert!(self.lease.has_layer(&layer.chain_id), "the lease keeps the image's layers");
        let number = self.store.lock().state.layers.get(layer.chain_id.as_ref()).map(|layer| layer.number);
        let number = number.ok_or(io::ErrorKind::NotFound)?;
        let plain = self.store.layer_tar(number).map_err(io::Error::other)?;
        let hasher = Hasher::of(&layer.diff_id).map_err(io::Error::other)?;
        let mut plain = HashingReader::new(plain, Some(hasher));
        let name = format!("blobs/{}", layer.diff_id.to_string().replacen(':', "/", 1));
        tar.append(&header(EntryType::Regular, &name, length)?, plain.by_ref().take(length))?;
        if let (Some(hasher), _) = plain.into_hash()? {
            let what = format!("layer {}", layer.diff_id);
            hasher.verify(what, &layer.diff_id).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// The image's entries in `index.json`: one for each name, or one without any.
fn entries(manifest: &Value, names: &[Reference]) -> Vec<Value> {
    if names.is_empty() {
        return vec![manifest.clone()];
    }
    let named = |name: &Reference| {
        let mut entry = manifest.clone();
        entry["annotations"] = json!({"io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.tag()});
        entry
    };
    names.iter().map(named).collect()
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

fn write_blob<W: Write>(
    tar: &mut Builder<W>,
    media_type: &str,
    bytes: &[u8],
    written: &mut BTreeSet<String>,
) -> io::Result<Value> {
    let digest = sha256(bytes).to_string();
    if written.insert(digest.clone()) {
        write_file(tar, &format!("blobs/{}", digest.replacen(':', "/", 1)), bytes)?;
    }
    Ok(descriptor(media_type, &digest, bytes.len() as u64))
}

fn write_file<W: Write>(tar: &mut Builder<W>, name: &str, bytes: &[u8]) -> io::Result<()> {
    tar.append(&header(EntryType::Regular, name, bytes.len() as u64)?, bytes)
}

fn header(kind: EntryType, name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}
