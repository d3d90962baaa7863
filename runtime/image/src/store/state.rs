//! [`State`]: all that the store knows, in one file. Whatever is on the disk and not in here is rubbish.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The contents of `index.json`. Digests are text here: keys of maps, compared and never computed with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// By the digest of the configuration.
    pub images: BTreeMap<String, ImageRecord>,
    /// From a whole name with tag or digest to an image.
    pub names: BTreeMap<String, String>,
    /// By chain id, which names a layer together with all those below it.
    pub layers: BTreeMap<String, LayerRecord>,
    /// Images and layers that someone (a container) needs, by who needs them.
    pub holds: BTreeMap<String, Hold>,
    /// The next layer's number. Numbers are never used again, so that files can be removed at leisure.
    pub next: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// The digest of the manifest, of images that were pulled.
    pub manifest: Option<String>,
    /// Chain ids, bottom layer first.
    pub layers: Vec<String>,
    /// When an image got a name last, in seconds since 1970.
    pub tagged: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// Under this number the files are found.
    pub number: u64,
    pub diff_id: String,
    /// The data of all files, in bytes.
    pub content_length: u64,
    /// The plain tar, in bytes.
    pub tar_length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub image: String,
    /// Chain ids, bottom layer first.
    pub layers: Vec<String>,
}

/// What nobody needs any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Numbers of layers.
    pub layers: Vec<u64>,
    /// Chain ids of the same layers.
    pub chains: Vec<String>,
}

impl State {
    /// Takes out the layers that neither an image, nor a hold, nor one of `leased` needs.
    pub fn take_garbage<'a>(&mut self, leased: impl Iterator<Item = &'a String>) -> Garbage {
        let images = self.images.values().flat_map(|image| &image.layers);
        let holds = self.holds.values().flat_map(|hold| &hold.layers);
        let mut needed: BTreeSet<String> = images.chain(holds).cloned().collect();
        needed.extend(leased.cloned());
        let mut garbage = Garbage::default();
        self.layers.retain(|chain, layer| {
            let is_needed = needed.contains(chain);
            if !is_needed {
                garbage.layers.push(layer.number);
                garbage.chains.push(chain.clone());
            }
            is_needed
        });
        garbage
    }

    /// Digests of the documents (configurations and manifests) that are needed.
    pub fn documents(&self) -> BTreeSet<&str> {
        let manifests = self.images.values().filter_map(|image| image.manifest.as_deref());
        self.images.keys().map(String::as_str).chain(manifests).collect()
    }

    /// The names of one image.
    pub fn names_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().filter(move |(_, image)| *image == id).map(|(name, _)| name.as_str())
    }
}
