//! Pulling from real registries: Debian's docker-registry on this computer, with and without TLS and passwords, and one behind a proxy
//! that breaks what comes through.
//!
//! [`Registries`] are started first, since the machine's configuration names them; a [`Bench`] is those and a machine. What fails must
//! say so as docker does, in its progress, and leave nothing behind in the store.

mod breaker;
mod cases;
mod certificates;
mod server;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use coffer_images::{Compression, Files, Image, Layer, small};
use serde_json::{Value, json};

use self::breaker::Breaker;
use self::certificates::Certificate;
use self::server::{Server, seen_by_machines};
use crate::cases::IMAGE;
use crate::{Docker, debian};

pub use cases::{all, full};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Registries with the same images.
#[derive(Debug)]
pub struct Registries {
    plain: Server,
    tls: Server,
    /// TLS, and asks who it is.
    private: Server,
    /// TLS, by an authority that the machine is not told of.
    stranger: Server,
    /// The plain one, as seen through the proxy.
    breaker: Breaker,
    authority: String,
    /// The digests of the small image's manifest and layer.
    manifest: String,
    layer: String,
    _folder: tempfile::TempDir,
}

/// Registries, and a machine that is configured for them.
#[derive(Debug)]
pub struct Bench {
    registries: Registries,
    docker: Docker,
}

impl AsRef<Docker> for Bench {
    fn as_ref(&self) -> &Docker {
        &self.docker
    }
}

impl Registries {
    /// Starts and fills them. The server's program, whose package would start one that everybody reaches, is unpacked below `cache`.
    ///
    /// # Errors
    /// If docker-registry or skopeo is not there or fails.
    pub fn start(cache: &Path) -> anyhow::Result<Self> {
        let program = debian::unpacked("docker-registry", "docker-registry", cache)?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let path = |name: &str| folder.path().join(name);
        let storage = path("storage");
        fs::create_dir_all(&storage)?;
        let (known, unknown) = (Certificate::make("known")?, Certificate::make("unknown")?);
        let start =
            |name, certificate, asks| Server::start(&program, &path(name), &storage, certificate, asks);
        let plain = start("plain", None, false)?;
        let (manifest, layer) = fill(&plain, &path("layouts"))?;
        Ok(Self {
            tls: start("tls", Some(&known), false)?,
            private: start("private", Some(&known), true)?,
            stranger: start("stranger", Some(&unknown), false)?,
            breaker: Breaker::start(plain.address())?,
            plain,
            authority: known.authority,
            manifest,
            layer,
            _folder: folder,
        })
    }

    /// What the machine has to be told.
    #[must_use]
    pub fn configuration(&self) -> String {
        let plain = [self.plain.address(), self.breaker.address()].map(|address| {
            format!("[[registries]]\nname = \"{}\"\nhttp = true\n", seen_by_machines(address))
        });
        let tls = [self.tls.address(), self.private.address()].map(|address| {
            format!(
                "[[registries]]\nname = \"{}\"\nca = '''\n{}'''\n",
                seen_by_machines(address),
                self.authority
            )
        });
        plain.into_iter().chain(tls).collect()
    }

    /// With a machine that has that configuration.
    #[must_use]
    pub fn with(self, docker: Docker) -> Bench {
        Bench { registries: self, docker }
    }
}

/// busybox and something that no other image has.
fn image() -> anyhow::Result<Image> {
    // As good as random, so that compression leaves enough of it to be cut.
    let bytes: Vec<u8> =
        (0_u64..1 << 17).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    Ok(small::busybox()?.layer(Layer::new().file("noise", 0o644, &bytes), Compression::Gzip))
}

/// Puts the images there: `small`, busybox with another layer; `layered`, three layers in three forms; `index`, for several architectures; `large`, a layer that
/// is much larger than it looks. Gives the digests of the small one's manifest and
/// of the layer that only it has.
fn fill(server: &Server, folder: &Path) -> anyhow::Result<(String, String)> {
    let copy = |files: &Files, name: &str| -> anyhow::Result<()> {
        let layout = folder.join(name);
        files.write_folder(&layout)?;
        server.fill(&layout, &format!("{name}:latest"))
    };
    let small = image()?.layout()?;
    copy(&small, "small")?;
    copy(&small::layered()?.layout()?, "layered")?;
    let zeros = vec![0; LARGE];
    let large = Image::new(json!({ "Cmd": ["/zeros"] }))
        .layer(Layer::new().file("zeros", 0o644, &zeros), Compression::Zstd)
        .layout()?;
    copy(&large, "large")?;

    let mut foreign = image()?;
    foreign.architecture = "arm64".to_owned();
    let foreign = foreign.layout()?;
    copy(&foreign, "index")?;
    copy(&small, "index")?;
    let mut descriptors = Vec::new();
    for files in [&foreign, &small] {
        let index: Value = serde_json::from_slice(files.0.get("index.json").context("no index")?)?;
        let mut descriptor = index["manifests"][0].clone();
        descriptor.as_object_mut().context("no descriptor")?.remove("annotations");
        descriptors.push(descriptor);
    }
    let index = |manifests: &[Value]| {
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string()
    };
    server.put_manifest("index", "latest", INDEX, &index(&descriptors))?;
    server.put_manifest("index", "foreign", INDEX, &index(&descriptors[..1]))?;
    let manifest = descriptors[1]["digest"].as_str().context("no digest")?.to_owned();
    let text: &[u8] = small.0.get(&manifest.replace("sha256:", "blobs/sha256/")).context("no manifest")?;
    let layers: Value = serde_json::from_slice(text)?;
    let layer = layers["layers"][1]["digest"].as_str().context("no second layer")?.to_owned();
    Ok((manifest, layer))
}

/// The size of the large image's file: more than the small machine has room for.
const LARGE: usize = 300 << 20;

/// What there is in the store, as docker tells it and as its files are.
fn store(docker: &Docker) -> anyhow::Result<String> {
    let images = sorted(&docker.ok(&["images", "--all", "--digests", "--no-trunc"])?);
    let sizes = docker.ok(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"])?;
    let list =
        ["run", "--rm", "-v", "/run/coffer/images:/store:ro", IMAGE, "find", "/store", "-maxdepth", "2"];
    Ok(format!("{images}\n{sizes}\n{}", sorted(&docker.ok(&list)?)))
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Runs something after which the store must be as it was before.
fn leaves_no_trace(docker: &Docker, body: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let before = store(docker)?;
    body()?;
    let after = store(docker)?;
    ensure!(before == after, "the store was\n{before}\nand is\n{after}");
    Ok(())
}
