//! The OCI image layout: `oci-layout`, `index.json`, `blobs/`.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. Docker's media types are accepted beside OCI's.

use std::sync::Arc;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use crate::compression::Compression;
use crate::image::{
    Image, Layer, Named, Selection, blob_name, check_size, decode, diff_ids, matches_platform, read_verified,
};
use crate::{Bundle, Error};

/// How deep indexes may point to indexes. Real ones: `index.json`, then one for the platforms.
const MAX_DEPTH: usize = 4;

/// Annotations that name an image in `index.json`: OCI's own, and containerd's with the full name.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// Opens the wanted image of a layout.
///
/// # Errors
///
/// Any [`Error`] but the layers' own.
pub fn open(bundle: &Arc<Bundle>, selection: &Selection) -> Result<Image, Error> {
    let chosen = choose(index(bundle)?.manifests(), selection)?;
    image_of(bundle, &for_this_machine(bundle, chosen, 0)?)
}

/// Opens every image of a layout; entries of `index.json` that are one image under several names are told once each.
///
/// # Errors
///
/// Any [`Error`] but the layers' own.
pub fn open_all(bundle: &Arc<Bundle>) -> Result<Vec<Named>, Error> {
    let index = index(bundle)?;
    let named = index.manifests().iter().any(|descriptor| names(descriptor).next().is_some());
    if !named {
        // Without names, several entries are the platforms of one image.
        let chosen = choose(index.manifests(), &Selection::default())?;
        let image = image_of(bundle, &for_this_machine(bundle, chosen, 0)?)?;
        return Ok(vec![Named { image, names: Vec::new() }]);
    }
    let open = |descriptor: &Descriptor| {
        let image = image_of(bundle, &for_this_machine(bundle, vec![descriptor.clone()], 0)?)?;
        // A bare tag (what skopeo writes for `oci:folder:tag`) names no repository.
        let is_whole = |name: &&str| name.contains([':', '/']);
        let names = names(descriptor).filter(is_whole).map(str::to_owned).collect();
        Ok(Named { image, names })
    };
    index.manifests().iter().map(open).collect()
}

fn index(bundle: &Bundle) -> Result<ImageIndex, Error> {
    let version: oci_spec::image::OciLayout = metadata(bundle, "oci-layout")?;
    if version.image_layout_version() != "1.0.0" {
        let reason = format!("layout version `{}`", version.image_layout_version().escape_default());
        return Err(Error::Malformed { name: "oci-layout".to_owned(), reason });
    }
    metadata(bundle, "index.json")
}

fn image_of(bundle: &Arc<Bundle>, descriptor: &Descriptor) -> Result<Image, Error> {
    let manifest_json = read_verified(bundle, descriptor)?;
    let manifest: ImageManifest = decode(&manifest_json, &blob_name(descriptor.digest()))?;

    let config_name = blob_name(manifest.config().digest());
    let config_json = read_verified(bundle, manifest.config())?;
    let config: ImageConfiguration = decode(&config_json, &config_name)?;
    let diff_ids = diff_ids(&config, &config_name, manifest.layers().len())?;
    let layers = manifest
        .layers()
        .iter()
        .zip(diff_ids)
        .map(|(descriptor, diff_id)| {
            let name = blob_name(descriptor.digest());
            let blob = bundle.open(&name)?.ok_or_else(|| Error::Missing(name.clone()))?;
            check_size(&name, descriptor.size(), blob.length())?;
            Ok(Layer {
                compression: Compression::of_media_type(descriptor.media_type().as_ref())?,
                digest: Some(descriptor.digest().clone()),
                size: blob.length(),
                name,
                diff_id,
            })
        })
        .collect::<Result<_, Error>>()?;

    Ok(Image {
        bundle: Arc::clone(bundle),
        manifest_digest: Some(descriptor.digest().clone()),
        manifest_json: Some(manifest_json),
        config_digest: manifest.config().digest().clone(),
        config_json,
        config,
        layers,
    })
}

fn metadata<T: serde::de::DeserializeOwned>(bundle: &Bundle, name: &str) -> Result<T, Error> {
    decode(&bundle.read(name)?.ok_or_else(|| Error::Missing(name.to_owned()))?, name)
}

/// Picks an entry of `index.json` by name; without a name there must be no choice.
fn choose(descriptors: &[Descriptor], selection: &Selection) -> Result<Vec<Descriptor>, Error> {
    let held = || {
        let names: Vec<&str> = descriptors.iter().flat_map(names).collect();
        if names.is_empty() {
            "images without names".to_owned()
        } else {
            names.join(", ").escape_debug().to_string()
        }
    };
    let Some(wanted) = &selection.reference else {
        // Several entries are one image when they are its platforms, as `skopeo copy --all` lays them out.
        let are_platforms = descriptors.iter().all(|descriptor| descriptor.platform().is_some());
        return match descriptors {
            [] => Err(Error::Missing("any image in `index.json`".to_owned())),
            several if several.len() > 1 && !are_platforms => {
                Err(Error::Ambiguous { count: several.len(), held: held() })
            }
            all => Ok(all.to_vec()),
        };
    };
    let chosen: Vec<Descriptor> =
        descriptors.iter().filter(|d| names(d).any(|name| is_name(name, wanted))).cloned().collect();
    if chosen.is_empty() {
        Err(Error::NoSuchReference { wanted: wanted.clone(), held: held() })
    } else {
        Ok(chosen)
    }
}

fn names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = descriptor.annotations().as_ref();
    NAMES.iter().filter_map(move |key| annotations?.get(*key)).map(String::as_str)
}

/// Whether an image called `name` in the archive is meant by `wanted`: equal but for docker's default registry and folder,
/// or only one of the two has a repository before the same tag.
pub(crate) fn is_name(name: &str, wanted: &str) -> bool {
    let short = |text: &str| {
        let text = text.strip_prefix("docker.io/").unwrap_or(text);
        text.strip_prefix("library/").unwrap_or(text).to_owned()
    };
    let tag_of = |text: &str| match text.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag.to_owned(),
        _ => text.to_owned(),
    };
    short(name) == short(wanted)
        || tag_of(name) == wanted
        || (!name.contains([':', '/']) && name == tag_of(wanted))
}

/// Follows indexes down to the manifest for this machine.
fn for_this_machine(bundle: &Bundle, candidates: Vec<Descriptor>, depth: usize) -> Result<Descriptor, Error> {
    let mut others = Vec::new();
    for descriptor in candidates {
        match descriptor.media_type().as_ref() {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => match descriptor.platform() {
                Some(platform) if !matches_platform(platform.architecture(), platform.os()) => {
                    others.push(format!("{}/{}", platform.os(), platform.architecture()));
                }
                _ => return Ok(descriptor),
            },
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                let name = blob_name(descriptor.digest());
                if depth >= MAX_DEPTH {
                    return Err(Error::Malformed { name, reason: "indexes are nested too deep".to_owned() });
                }
                let index: ImageIndex = decode(&read_verified(bundle, &descriptor)?, &name)?;
                match for_this_machine(bundle, index.manifests().clone(), depth + 1) {
                    Err(Error::Platform { found }) => others.push(found),
                    result => return result,
                }
            }
            other => return Err(Error::MediaType(other.to_owned())),
        }
    }
    // Attestations travel in an index as manifests for unknown/unknown; they are no platform to tell of.
    others.retain(|platform| platform != "unknown/unknown");
    Err(Error::Platform {
        found: if others.is_empty() { "no platform".to_owned() } else { others.join(", ") },
    })
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_match_whole_or_by_tag() {
        for (name, wanted, expected) in [
            ("latest", "latest", true),
            ("debian:12", "debian:12", true),
            ("debian:12", "12", true),
            ("12", "debian:12", true),
            ("docker.io/library/debian:12", "debian:12", true),
            ("example.org:5000/debian", "debian", false),
            ("debian:12", "busybox:12", false),
            ("latest", "12", false),
        ] {
            assert_eq!(is_name(name, wanted), expected, "{name} {wanted}");
        }
    }
}
