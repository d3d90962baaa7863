//! Images that must be refused with one clear line, and leave nothing behind.

use anyhow::Context as _;
use serde_json::json;

use crate::{Compression, Files, Layer, small};

/// A broken image and what the line that refuses it has to say.
#[derive(Debug)]
pub struct Broken {
    /// Name of the test.
    pub name: &'static str,
    /// The damaged files.
    pub files: Files,
    /// Any of these words shows that the line names the reason.
    pub words: &'static [&'static str],
}

/// All of them.
///
/// # Errors
/// If busybox-static is not installed.
pub fn all() -> anyhow::Result<Vec<Broken>> {
    Ok(vec![
        digest_mismatch()?,
        truncated_layer()?,
        missing_layer()?,
        missing_manifest()?,
        wrong_architecture()?,
        not_a_layout(),
        layer(
            "path_escape",
            Layer::new().file("../escape", 0o644, b"x"),
            &["../escape", "escape", "outside"],
        )?,
        layer(
            "path_escape_inside",
            Layer::new().file("etc/../../escape", 0o644, b"x"),
            &["escape", "outside", ".."],
        )?,
        layer(
            "symlink_escape",
            Layer::new().symlink("door", "/proc").file("door/sys/escape", 0o644, b"x"),
            &["door", "link", "outside"],
        )?,
        layer(
            "relative_symlink_escape",
            Layer::new().directory("a", 0o755).symlink("a/door", "../../..").file(
                "a/door/escape",
                0o644,
                b"x",
            ),
            &["door", "link", "outside"],
        )?,
        layer(
            "hard_link_escape",
            Layer::new().hard_link("stolen", "../../init"),
            &["stolen", "init", "link", "outside"],
        )?,
    ])
}

fn digest_mismatch() -> anyhow::Result<Broken> {
    let mut files = small::busybox()?.layout()?;
    let layer = files.first_layer()?;
    let bytes = files.0.get_mut(&layer).context("no layer")?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(Broken { name: "digest_mismatch", files, words: &["digest", "sha256", "does not match", "mismatch"] })
}

fn truncated_layer() -> anyhow::Result<Broken> {
    let mut files = small::busybox()?.layout()?;
    let layer = files.first_layer()?;
    let bytes = files.0.get_mut(&layer).context("no layer")?;
    bytes.truncate(bytes.len() / 2);
    Ok(Broken { name: "truncated_layer", files, words: &["size", "truncated", "bytes", "short"] })
}

fn missing_layer() -> anyhow::Result<Broken> {
    let mut files = small::busybox()?.layout()?;
    let layer = files.first_layer()?;
    files.0.remove(&layer);
    Ok(Broken {
        name: "missing_layer",
        files,
        words: &["missing", "no blob", "not found", "not there", "blobs/"],
    })
}

fn missing_manifest() -> anyhow::Result<Broken> {
    let mut files = small::busybox()?.layout()?;
    files.add("index.json", json!({ "schemaVersion": 2, "manifests": [] }).to_string());
    Ok(Broken { name: "missing_manifest", files, words: &["manifest", "no image", "index"] })
}

fn wrong_architecture() -> anyhow::Result<Broken> {
    let mut image = small::busybox()?;
    "arm64".clone_into(&mut image.architecture);
    Ok(Broken {
        name: "wrong_architecture",
        files: image.layout()?,
        words: &["arm64", "architecture", "platform"],
    })
}

fn not_a_layout() -> Broken {
    let mut files = Files::default();
    files.add("readme.txt", "not an image\n".to_owned());
    Broken { name: "not_a_layout", files, words: &["oci-layout", "layout", "archive", "not an"] }
}

/// A correct image whose one layer is hostile.
fn layer(name: &'static str, layer: Layer, words: &'static [&'static str]) -> anyhow::Result<Broken> {
    let image = small::busybox()?.layer(layer, Compression::Gzip);
    Ok(Broken { name, files: image.layout()?, words })
}
