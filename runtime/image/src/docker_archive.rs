//! The docker-archive: what `docker save` writes, `manifest.json` with the names of a configuration and of plain layers.
//!
//! It promises less than a layout: the configuration's digest stands in its file name, the layers' in the configuration.

use std::sync::Arc;

use oci_spec::image::{Digest, ImageConfiguration};
use serde::Deserialize;

use crate::compression::Compression;
use crate::digest::sha256;
use crate::image::{Image, Layer, Named, Selection, decode, diff_ids, verify};
use crate::layout::is_name;
use crate::{Bundle, Error};

/// One element of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Opens the wanted image of a docker archive.
///
/// # Errors
///
/// Any [`Error`] but the layers' own.
pub fn open(bundle: &Arc<Bundle>, selection: &Selection) -> Result<Image, Error> {
    image_of(bundle, choose(items(bundle)?, selection)?)
}

/// Opens every image of a docker archive.
///
/// # Errors
///
/// Any [`Error`] but the layers' own.
pub fn open_all(bundle: &Arc<Bundle>) -> Result<Vec<Named>, Error> {
    let open = |mut item: Item| {
        let names = item.repo_tags.take().unwrap_or_default();
        Ok(Named { image: image_of(bundle, item)?, names })
    };
    items(bundle)?.into_iter().map(open).collect()
}

fn items(bundle: &Bundle) -> Result<Vec<Item>, Error> {
    let bytes = bundle.read("manifest.json")?.ok_or(Error::NotAnImage)?;
    decode(&bytes, "manifest.json")
}

fn image_of(bundle: &Arc<Bundle>, item: Item) -> Result<Image, Error> {
    let bytes = bundle.read(&item.config)?.ok_or_else(|| Error::Missing(item.config.clone()))?;
    let config_digest = match promised_digest(&item.config) {
        Some(digest) => verify(&bytes, &item.config, &digest).map(|()| digest)?,
        None => sha256(&bytes),
    };
    let config: ImageConfiguration = decode(&bytes, &item.config)?;
    let diff_ids = diff_ids(&config, &item.config, item.layers.len())?;
    let layers = item
        .layers
        .into_iter()
        .zip(diff_ids)
        .map(|(name, diff_id)| {
            let mut blob = bundle.open(&name)?.ok_or_else(|| Error::Missing(name.clone()))?;
            let mut start = [0; 4];
            let compression = match std::io::Read::read(&mut blob, &mut start) {
                Ok(_) => Compression::of_magic(&start),
                Err(source) => return Err(Error::Read { name, source }),
            };
            Ok(Layer { size: blob.length(), name, digest: None, diff_id, compression })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Image {
        bundle: Arc::clone(bundle),
        manifest_digest: None,
        manifest_json: None,
        config_digest,
        config_json: bytes,
        config,
        layers,
    })
}

fn choose(mut items: Vec<Item>, selection: &Selection) -> Result<Item, Error> {
    let tags = |item: &Item| item.repo_tags.clone().unwrap_or_default();
    let held = items.iter().flat_map(tags).collect::<Vec<_>>().join(", ").escape_debug().to_string();
    if let Some(wanted) = &selection.reference {
        items.retain(|item| tags(item).iter().any(|tag| is_name(tag, wanted)));
        return items.into_iter().next().ok_or(Error::NoSuchReference { wanted: wanted.clone(), held });
    }
    if items.len() > 1 {
        return Err(Error::Ambiguous { count: items.len(), held });
    }
    items.pop().ok_or_else(|| Error::Missing("any image in `manifest.json`".to_owned()))
}

/// The digest in a configuration's file name: `HEX.json`, or `blobs/sha256/HEX` since docker 25.
fn promised_digest(name: &str) -> Option<Digest> {
    let base = name.rsplit('/').next()?;
    format!("sha256:{}", base.strip_suffix(".json").unwrap_or(base)).parse().ok()
}
