//! An OCI layout folder around layers that are there as files
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::file_digest;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Writes the layout in `folder` around tars in the same file system, lowest first, which are moved to where layers belong. Layers are
/// not compressed: they would be unpacked again a moment later, by an emulated machine.
pub fn write(folder: &Path, layers: &[PathBuf], command: &[&str]) -> io::Result<()> {
    fs::create_dir_all(folder.join("blobs/sha256"))?;
    let mut descriptors = Vec::new();
    for layer in layers {
        let descriptor = file_descriptor(layer)?;
        fs::rename(layer, blob_path(folder, digest(&descriptor)))?;
        descriptors.push(descriptor);
    }
    let digests: Vec<&str> = descriptors.iter().map(digest).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {
            "Cmd": command,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = write_blob(folder, &config, "application/vnd.oci.image.config.v1+json")?;
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": descriptors });
    let mut manifest = write_blob(folder, &manifest, MANIFEST_TYPE)?;
    manifest["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    fs::write(folder.join("index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())
}

/// The files of the layers of the one image in a layout that [`write()`] has written, lowest first.
pub fn layers(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = |path: PathBuf| -> io::Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let index = read(folder.join("index.json"))?;
    let manifest = read(blob_path(folder, digest(&index["manifests"][0])))?;
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(layers.iter().map(|layer| blob_path(folder, digest(layer))).collect())
}

fn file_descriptor(path: &Path) -> io::Result<Value> {
    let (digest, len) = file_digest(path)?;
    Ok(descriptor("application/vnd.oci.image.layer.v1.tar", &digest, len))
}

fn write_blob(folder: &Path, value: &Value, media_type: &str) -> io::Result<Value> {
    let bytes = value.to_string();
    let descriptor = descriptor(media_type, &Sha256::digest(&bytes), bytes.len() as u64);
    File::create(blob_path(folder, digest(&descriptor)))?.write_all(bytes.as_bytes())?;
    Ok(descriptor)
}

fn descriptor(media_type: &str, sha256: &[u8], size: u64) -> Value {
    let digest: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap_or_default()
}

fn blob_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{layers, write};

    #[test]
    fn a_layout_names_its_blobs_by_their_digests() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.tar");
        fs::write(&root, b"").unwrap();
        write(folder.path(), &[root], &["sh"]).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(layers(folder.path()).unwrap(), [folder.path().join("blobs/sha256").join(empty)]);
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 3);
    }
}
