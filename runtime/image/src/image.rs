//! [`Image`]: the verified metadata of one image and the list of its layers.

use std::sync::Arc;

use oci_spec::image::{Arch, Descriptor, Digest, ImageConfiguration, Os};

use crate::bundle::{Blob, Bundle};
use crate::compression::Compression;
use crate::digest::Hasher;
use crate::unpack::{Progress, Source};
use crate::{Error, docker_archive, layout};

/// Which image of an archive is wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A name as the archive has it (`debian:12`) or its tag alone. None: the only image there is.
    pub reference: Option<String>,
}

/// An image whose index, manifest and configuration match their digests. Its layers are verified as they are unpacked.
#[derive(Debug)]
pub struct Image {
    pub(crate) bundle: Arc<Bundle>,
    /// The digest of the image manifest; docker archives have no manifest of this kind.
    pub manifest_digest: Option<Digest>,
    /// The manifest as it stands in the archive.
    pub manifest_json: Option<Vec<u8>>,
    /// The digest of the configuration: what docker calls the image's ID.
    pub config_digest: Digest,
    /// The configuration as it stands in the archive.
    pub config_json: Vec<u8>,
    pub config: ImageConfiguration,
    /// Bottom layer first.
    pub layers: Vec<Layer>,
}

/// An image and the names that an archive gives it, as they stand there.
#[derive(Debug)]
pub struct Named {
    pub image: Image,
    pub names: Vec<String>,
}

/// One layer of an image, not yet verified.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What the store calls it.
    pub(crate) name: String,
    /// The digest of the stored (compressed) bytes. None in a docker archive, which promises only `diff_id`.
    pub(crate) digest: Option<Digest>,
    /// The digest of the plain tar.
    pub diff_id: Digest,
    pub(crate) compression: Compression,
    /// Stored length in bytes.
    pub size: u64,
}

impl Layer {
    /// What to call the layer in a message: the digest it is stored under.
    #[must_use]
    pub fn label(&self) -> String {
        self.digest.as_ref().unwrap_or(&self.diff_id).to_string()
    }
}

impl Image {
    /// Finds the wanted image for linux/amd64 in `bundle` and verifies its metadata.
    ///
    /// An OCI layout is preferred to a docker archive when a tar is both (as `docker save` has made them since version
    /// 25), because a layout promises the digest of every stored byte.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but the layers' own.
    pub fn open(bundle: Bundle, selection: &Selection) -> Result<Self, Error> {
        let bundle = Arc::new(bundle);
        let image = if bundle.open("oci-layout")?.is_some() {
            layout::open(&bundle, selection)?
        } else if bundle.open("manifest.json")?.is_some() {
            docker_archive::open(&bundle, selection)?
        } else {
            return Err(Error::NotAnImage);
        };
        image.check_platform()?;
        Ok(image)
    }

    /// Finds every image for linux/amd64 in `bundle`, with the names that the archive gives it, and verifies the metadata.
    ///
    /// A docker archive is preferred to a layout when a tar is both: `docker load` goes by its list of tags.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but the layers' own.
    pub fn open_all(bundle: Bundle) -> Result<Vec<Named>, Error> {
        let bundle = Arc::new(bundle);
        let images = if bundle.open("manifest.json")?.is_some() {
            docker_archive::open_all(&bundle)?
        } else if bundle.open("oci-layout")?.is_some() {
            layout::open_all(&bundle)?
        } else {
            return Err(Error::NotAnImage);
        };
        images.iter().try_for_each(|named| named.image.check_platform())?;
        Ok(images)
    }

    fn check_platform(&self) -> Result<(), Error> {
        if matches_platform(self.config.architecture(), self.config.os()) {
            return Ok(());
        }
        let found = format!("{}/{}", self.config.os(), self.config.architecture());
        Err(Error::Platform { found })
    }

    /// One of the image's layers as a stream; `progress` is told how many stored bytes are read.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Read`].
    pub fn layer_source<F: FnMut(u64)>(
        &self,
        layer: &Layer,
        progress: F,
    ) -> Result<Source<Progress<Blob, F>>, Error> {
        let blob = self.bundle.open(&layer.name)?.ok_or_else(|| Error::Missing(layer.name.clone()))?;
        Ok(Source {
            reader: Progress::new(blob, progress),
            label: layer.label(),
            name: layer.name.clone(),
            compression: layer.compression,
            digest: layer.digest.clone(),
            diff_id: layer.diff_id.clone(),
            known: self.bundle.digest(&layer.name).cloned(),
        })
    }
}

/// Whether this machine runs such an image.
pub(crate) fn matches_platform(architecture: &Arch, os: &Os) -> bool {
    *architecture == Arch::Amd64 && *os == Os::Linux
}

/// The name under which a layout stores what has this digest.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.digest())
}

/// Reads the metadata that `descriptor` points to, and verifies size and digest.
pub(crate) fn read_verified(bundle: &Bundle, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let name = blob_name(descriptor.digest());
    let bytes = bundle.read(&name)?.ok_or_else(|| Error::Missing(name.clone()))?;
    check_size(&name, descriptor.size(), bytes.len() as u64)?;
    verify(&bytes, &name, descriptor.digest())?;
    Ok(bytes)
}

/// Verifies bytes that are in memory.
pub(crate) fn verify(bytes: &[u8], name: &str, digest: &Digest) -> Result<(), Error> {
    let mut hasher = Hasher::of(digest)?;
    hasher.update(bytes);
    hasher.verify(format!("`{name}`"), digest)
}

/// Compares a length with what a descriptor says.
pub(crate) fn check_size(name: &str, expected: u64, actual: u64) -> Result<(), Error> {
    if expected == actual { Ok(()) } else { Err(Error::Size { name: name.to_owned(), expected, actual }) }
}

/// Decodes JSON from the image.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Malformed { name: name.to_owned(), reason: error.to_string() })
}

/// The configuration's list of layer digests, which must be as many as the layers.
pub(crate) fn diff_ids(config: &ImageConfiguration, name: &str, layers: usize) -> Result<Vec<Digest>, Error> {
    let malformed = |reason: String| Error::Malformed { name: name.to_owned(), reason };
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != layers {
        return Err(malformed(format!("{} diff_ids for {layers} layers", diff_ids.len())));
    }
    diff_ids
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_| malformed(format!("diff_id `{}` is not a digest", text.escape_default())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Archive, Layout};
    use crate::{Bundle, Error, Image, Selection};

    fn layer() -> Vec<u8> {
        Archive::default().file("a", "b").finish()
    }

    #[test]
    fn the_platform_is_chosen_from_nested_indexes() {
        let mut layout = Layout::default();
        let (arm, amd) = (layout.image("arm64", &[layer()]), layout.image("amd64", &[layer()]));
        let mut attestation = layout.image("amd64", &[]);
        attestation["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        let index = json!({"schemaVersion": 2, "manifests": [attestation, arm, amd]}).to_string();
        let index = layout.blob("application/vnd.oci.image.index.v1+json", index.into_bytes());
        layout.index(&[index]);
        let image = layout.open().unwrap();
        assert_eq!(image.manifest_digest.unwrap().to_string(), amd["digest"].as_str().unwrap());
    }

    #[test]
    fn another_architecture_is_one_clear_line() {
        let mut layout = Layout::default();
        let mut arm = layout.image("arm64", &[layer()]);
        layout.index(&[arm.clone()]);
        assert_eq!(
            layout.open().unwrap_err().to_string(),
            "image is for linux/arm64, this machine runs linux/amd64"
        );
        // Also when only the configuration tells.
        arm.as_object_mut().unwrap().remove("platform");
        layout.index(&[arm]);
        assert_eq!(
            layout.open().unwrap_err().to_string(),
            "image is for linux/arm64, this machine runs linux/amd64"
        );
    }

    #[test]
    fn every_piece_of_metadata_is_verified() {
        let good = Layout::of_layers(&[layer()]);
        assert!(good.open().is_ok());
        for (name, bytes) in
            good.pieces.iter().filter(|(name, bytes)| name.starts_with("blobs") && bytes[0] == b'{')
        {
            let mut layout = good.clone();
            let mut bytes = bytes.clone();
            bytes[2] ^= 1;
            layout.pieces.insert(name.clone(), bytes);
            assert!(matches!(layout.open(), Err(Error::Mismatch { .. })), "{name}");
            layout.pieces.remove(name);
            assert!(matches!(layout.open(), Err(Error::Missing(_))), "{name}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(matches!(Layout::default().open(), Err(Error::NotAnImage)));
        let mut layout = Layout::of_layers(&[layer()]);
        layout.pieces.insert("index.json".to_owned(), b"{".to_vec());
        assert!(matches!(layout.open(), Err(Error::Malformed { .. })));
        let mut layout = Layout::default();
        let (one, two) = (layout.image("amd64", &[layer()]), layout.image("amd64", &[]));
        let plain = |mut descriptor: serde_json::Value| {
            descriptor.as_object_mut().unwrap().remove("platform");
            descriptor
        };
        layout.index(&[plain(one), plain(two)]);
        assert!(matches!(layout.open(), Err(Error::Ambiguous { count: 2, .. })));
    }

    #[test]
    fn a_docker_archive_is_read_by_tag() {
        let mut layout = Layout::default();
        layout.image("amd64", &[layer()]);
        let find = |start: &[u8]| {
            let (name, bytes) = layout.pieces.iter().find(|(_, bytes)| bytes.starts_with(start)).unwrap();
            (name.rsplit('/').next().unwrap().to_owned(), bytes.clone())
        };
        let ((config_hex, config), (layer_hex, layer)) = (find(b"{\"architecture"), find(b"a\0"));
        let items = json!([{"Config": format!("{config_hex}.json"), "RepoTags": ["docker.io/library/x:1"],
            "Layers": [format!("{layer_hex}.tar")]}]);
        let mut docker = Layout::default();
        docker.pieces.insert("manifest.json".to_owned(), items.to_string().into_bytes());
        docker.pieces.insert(format!("{layer_hex}.tar"), layer);
        docker.pieces.insert(format!("{config_hex}.json"), config);
        let select = |reference: &str| Selection { reference: Some(reference.to_owned()) };
        let open =
            |layout: &Layout, reference| Image::open(Bundle::archive(layout.archive())?, &select(reference));
        assert_eq!(open(&docker, "x:1").unwrap().layers.len(), 1);
        assert!(matches!(open(&docker, "x:2"), Err(Error::NoSuchReference { .. })));
        docker.pieces.get_mut(&format!("{config_hex}.json")).unwrap().push(b' ');
        assert!(matches!(open(&docker, "x:1"), Err(Error::Mismatch { .. })));
    }
}
