//! Manifests: fetched by tag or digest, verified, and through indexes down to the one for this machine.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use oci_spec::image::{Arch, Descriptor, Digest, ImageIndex, ImageManifest, Os};
use runtime_image::Reference;
use runtime_image::bundle::METADATA_LIMIT;
use runtime_image::digest::{Hasher, sha256};

use crate::Error;
use crate::auth::Session;
use crate::client::{read_limited, refusal};

/// How deep indexes may point to indexes.
const MAX_DEPTH: usize = 4;

/// The most layers of an image: what overlayfs mounts over each other at most, less than docker's own limit.
const MAX_LAYERS: usize = 127;

const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// A repository that is pulled from.
#[derive(Debug)]
pub struct Repository<'a> {
    pub session: Session<'a>,
    /// `https://host/v2/path`
    pub url: String,
    pub reference: Reference,
}

/// The manifest for this machine.
#[derive(Debug)]
pub struct Found {
    /// The digest that the name stands for: of the index, if there is one.
    pub named: Digest,
    pub bytes: Vec<u8>,
    pub manifest: ImageManifest,
}

impl Repository<'_> {
    /// Finds the manifest for linux/amd64.
    pub async fn manifest(&self) -> Result<Found, Error> {
        let wanted = self.reference.digest();
        let tag = self.reference.tag().unwrap_or("latest");
        let name = wanted.map_or_else(|| tag.to_owned(), ToString::to_string);
        let (mut media_type, mut bytes) = self.fetch(&name, wanted).await?;
        let named = wanted.cloned().unwrap_or_else(|| sha256(&bytes));
        for _ in 0..MAX_DEPTH {
            if MANIFESTS.contains(&media_type.as_str()) {
                let manifest: ImageManifest = decode(&bytes, "image manifest")?;
                if manifest.layers().len() > MAX_LAYERS {
                    let reason = format!("more than {MAX_LAYERS} layers");
                    return Err(Error::Malformed { what: "image manifest".to_owned(), reason });
                }
                return Ok(Found { named, bytes, manifest });
            }
            if !INDEXES.contains(&media_type.as_str()) {
                return Err(Error::MediaType(media_type));
            }
            let index: ImageIndex = decode(&bytes, "image index")?;
            let descriptor = choose(index.manifests()).ok_or(Error::Platform)?;
            let digest = descriptor.digest();
            (media_type, bytes) = self.fetch(digest.as_ref(), Some(digest)).await?;
            check_size(digest.as_ref(), descriptor.size(), bytes.len() as u64)?;
        }
        let reason = "indexes are nested too deep".to_owned();
        Err(Error::Malformed { what: "image index".to_owned(), reason })
    }

    /// Fetches a small blob, and verifies it.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let digest = descriptor.digest();
        if descriptor.size() > METADATA_LIMIT {
            return Err(Error::TooLarge { what: digest.to_string(), limit: METADATA_LIMIT });
        }
        let url = format!("{}/blobs/{digest}", self.url);
        let response = self.session.get(&url, &HeaderMap::new()).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let bytes = read_limited(response.into_body(), &url, descriptor.size()).await?;
        check_size(digest.as_ref(), descriptor.size(), bytes.len() as u64)?;
        if !is_of(&bytes, digest) {
            return Err(Error::ConfigDigest(digest.to_string()));
        }
        Ok(bytes.to_vec())
    }

    pub async fn refusal(&self, response: http::Response<hyper::body::Incoming>) -> Error {
        refusal(response, &self.reference.familiar(), &self.reference.repository().familiar()).await
    }

    /// Fetches a manifest or index; gives its media type and bytes.
    async fn fetch(&self, name: &str, digest: Option<&Digest>) -> Result<(String, Vec<u8>), Error> {
        let mut headers = HeaderMap::new();
        for media_type in MANIFESTS.into_iter().chain(INDEXES) {
            headers.append(header::ACCEPT, HeaderValue::from_static(media_type));
        }
        let url = format!("{}/manifests/{name}", self.url);
        let response = self.session.get(&url, &headers).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let stated = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let stated = stated.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_owned();
        let bytes = read_limited(response.into_body(), &url, METADATA_LIMIT).await?;
        if digest.is_some_and(|digest| !is_of(&bytes, digest)) {
            return Err(Error::ManifestDigest(name.to_owned()));
        }
        // What the document says of itself is covered by the digest; the header is not.
        let own = serde_json::from_slice::<serde_json::Value>(&bytes)
            .map_err(|error| Error::Malformed { what: "manifest".to_owned(), reason: error.to_string() })?;
        let media_type = own["mediaType"].as_str().map_or(stated, str::to_owned);
        Ok((media_type, bytes.to_vec()))
    }
}

/// The entry for this machine: the plainest variant of linux/amd64, which runs everywhere.
fn choose(descriptors: &[Descriptor]) -> Option<&Descriptor> {
    let fits = |descriptor: &&Descriptor| {
        descriptor
            .platform()
            .as_ref()
            .is_none_or(|platform| *platform.architecture() == Arch::Amd64 && *platform.os() == Os::Linux)
    };
    let rank = |descriptor: &&Descriptor| {
        let Some(platform) = descriptor.platform() else { return 9 };
        match platform.variant().as_deref() {
            None | Some("" | "v1") => 0,
            Some("v2") => 1,
            Some("v3") => 2,
            _ => 3,
        }
    };
    descriptors.iter().filter(fits).min_by_key(rank)
}

pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Malformed { what: what.to_owned(), reason: error.to_string() })
}

fn is_of(bytes: &[u8], digest: &Digest) -> bool {
    let Ok(mut hasher) = Hasher::of(digest) else { return false };
    hasher.update(bytes);
    hasher.finish() == *digest
}

pub fn check_size(what: &str, expected: u64, actual: u64) -> Result<(), Error> {
    if expected == actual { Ok(()) } else { Err(Error::Size { what: what.to_owned(), expected, actual }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_plainest_variant_for_this_machine_is_chosen() {
        let entry = |digit: &str, platform: serde_json::Value| json!({"mediaType": MANIFESTS[0], "size": 1, "digest": format!("sha256:{}", digit.repeat(64)), "platform": platform});
        let index = json!({"schemaVersion": 2, "manifests": [
            entry("1", json!({"os": "linux", "architecture": "arm64"})),
            entry("2", json!({"os": "linux", "architecture": "amd64", "variant": "v3"})),
            entry("3", json!({"os": "linux", "architecture": "amd64"})),
            entry("4", json!({"os": "unknown", "architecture": "unknown"})),
        ]});
        let index: ImageIndex = serde_json::from_value(index).unwrap();
        assert!(choose(index.manifests()).unwrap().digest().digest().starts_with('3'));
    }
}
