//! An image and its two written forms: the OCI layout
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>) and what `docker save` writes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Layer;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    Plain,
    /// gzip, without a time stamp.
    Gzip,
    /// zstd, by the host's program, so that the runtime's reader meets another writer.
    Zstd,
}

/// Layers, lowest first, and what to run in them.
#[derive(Debug, Clone)]
pub struct Image {
    layers: Vec<(Vec<u8>, Compression)>,
    /// The `config` object of the image configuration, such as `{"Cmd": ["sh"]}`.
    pub config: Value,
    /// The architecture that the image claims.
    pub architecture: String,
}

/// The files of a written image, by name: still in memory, so that a negative test can damage them.
#[derive(Debug, Clone, Default)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Image {
    /// An image without layers, for this architecture.
    #[must_use]
    pub fn new(config: Value) -> Self {
        Self { layers: Vec::new(), config, architecture: "amd64".to_owned() }
    }

    /// Puts a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer, compression: Compression) -> Self {
        self.layers.push((layer.finish(), compression));
        self
    }

    /// The files of an OCI layout with this one image.
    ///
    /// # Errors
    /// If a layer cannot be compressed.
    pub fn layout(&self) -> anyhow::Result<Files> {
        let mut files = Files::default();
        let mut layers = Vec::new();
        for (tar, compression) in &self.layers {
            let (bytes, suffix) = compression.apply(tar)?;
            layers.push(files.add_blob(&format!("{LAYER}{suffix}"), bytes));
        }
        let config = files.add_blob(CONFIG, self.configuration().to_string().into_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = files.add_blob(MANIFEST, manifest.to_string().into_bytes());
        manifest["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        files.add("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string());
        files.add("index.json", json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string());
        Ok(files)
    }

    /// The files of a docker archive with this one image. Its layers are not compressed.
    #[must_use]
    pub fn docker_archive(&self) -> Files {
        let mut files = Files::default();
        let mut layers = Vec::new();
        for (tar, _) in &self.layers {
            let name = format!("{}/layer.tar", hex(&Sha256::digest(tar)));
            files.0.insert(name.clone(), tar.clone());
            layers.push(name);
        }
        let config = self.configuration().to_string();
        let name = format!("{}.json", hex(&Sha256::digest(&config)));
        files.add(&name, config);
        let manifest = json!([{ "Config": name, "RepoTags": ["test:latest"], "Layers": layers }]);
        files.add("manifest.json", manifest.to_string());
        files
    }

    fn configuration(&self) -> Value {
        let digests: Vec<String> = self.layers.iter().map(|(tar, _)| digest(tar)).collect();
        json!({
            "architecture": self.architecture, "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": digests },
        })
    }
}

impl Files {
    /// Adds a text file.
    pub fn add(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text.into_bytes());
    }

    fn add_blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (digest(&bytes), bytes.len());
        self.0.insert(blob_name(&digest), bytes);
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    /// The name of the first layer's file in an OCI layout.
    ///
    /// # Errors
    /// If these are not the files of one.
    pub fn first_layer(&self) -> anyhow::Result<String> {
        let read = |name: &str| -> anyhow::Result<Value> {
            let bytes = self.0.get(name).with_context(|| format!("no {name}"))?;
            Ok(serde_json::from_slice(bytes)?)
        };
        let text = |value: &Value| value.as_str().map(blob_name).context("no digest");
        let manifest = text(&read("index.json")?["manifests"][0]["digest"])?;
        text(&read(&manifest)?["layers"][0]["digest"])
    }

    /// Writes all files as one tar, which is the form that a machine is given.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_tar(&self, path: &Path) -> anyhow::Result<()> {
        let layer = self.0.iter().fold(Layer::new(), |layer, (name, bytes)| layer.file(name, 0o644, bytes));
        fs::write(path, layer.finish()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the files below a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_folder(&self, folder: &Path) -> anyhow::Result<()> {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            let parent = path.parent().context("a file without a folder")?;
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

impl Compression {
    fn apply(self, tar: &[u8]) -> anyhow::Result<(Vec<u8>, &'static str)> {
        match self {
            Self::Plain => Ok((tar.to_vec(), "")),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(tar)?;
                Ok((encoder.finish()?, "+gzip"))
            }
            Self::Zstd => Ok((by_zstd(tar)?, "+zstd")),
        }
    }
}

fn by_zstd(tar: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("zstd")
        .args(["--quiet", "--stdout", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("zstd is not installed: it is in the package zstd")?;
    let mut input = child.stdin.take().context("no pipe to zstd")?;
    let output = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.write_all(tar));
        let output = child.wait_with_output();
        writer.join().map(|written| written.and(output))
    });
    let output = output.ok().context("the writer to zstd panicked")??;
    ensure!(output.status.success(), "zstd failed: {}", output.status);
    Ok(output.stdout)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Compression, Image};
    use crate::Layer;

    fn image() -> Image {
        let layer =
            Layer::new().directory("etc", 0o755).file("etc/name", 0o644, b"value").whiteout("etc/old");
        Image::new(json!({ "Cmd": ["sh"] })).layer(layer, Compression::Gzip)
    }

    #[test]
    fn the_same_image_has_the_same_bytes() {
        assert_eq!(image().layout().unwrap().0, image().layout().unwrap().0);
        assert_eq!(image().docker_archive().0, image().docker_archive().0);
    }

    #[test]
    fn a_layout_names_every_blob_by_its_digest() {
        let files = image().layout().unwrap();
        let blobs = files.0.iter().filter(|(name, _)| name.starts_with("blobs/"));
        for (name, bytes) in blobs {
            assert_eq!(name.replace("blobs/sha256/", "sha256:"), super::digest(bytes));
        }
        assert!(files.0.contains_key(&files.first_layer().unwrap()));
    }

    #[test]
    fn names_reach_the_tar_as_they_are() {
        let long = format!("{}/file", "d".repeat(150));
        let tar = Layer::new().file("../escape", 0o644, b"x").file(&long, 0o644, b"y").finish();
        let mut archive = tar::Archive::new(tar.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
        assert_eq!(names, [b"../escape".to_vec(), long.into_bytes()]);
    }
}
