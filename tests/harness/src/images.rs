//! OCI images assembled from Debian packages, kept in a folder: the image that `cargo xtask run` has where none is named,
//! and those of the tests. Same packages, same image.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// The distribution's release; also that of the packages that `cargo xtask setup` installs.
const RELEASE: &str = "bookworm";

/// Stands in every time stamp.
const EPOCH: &str = "1700000000";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A minimal Debian root with some packages.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Name of the folder.
    pub name: &'static str,
    /// Packages besides the essential ones.
    pub packages: &'static [&'static str],
    /// What the image runs.
    pub command: &'static [&'static str],
}

/// Essential packages and apt: the image of `cargo xtask run`.
pub const DEBIAN: Recipe = Recipe { name: "debian", packages: &[], command: &["bash"] };

impl Recipe {
    /// The OCI layout folder of this image below `cache`; assembled if it is not there yet, which takes about a minute.
    ///
    /// # Errors
    /// If mmdebstrap is missing or fails, or the folder cannot be written.
    pub fn assemble(&self, cache: &Path) -> Result<PathBuf, Error> {
        let layout = cache.join(self.name);
        if layout.join("index.json").exists() {
            return Ok(layout);
        }
        // Made aside and renamed, so that an interrupted attempt is not taken for an image.
        let draft = cache.join(format!("{}.draft", self.name));
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(Error::system("remove an unfinished image"))?;
        }
        fs::create_dir_all(draft.join("blobs/sha256"))
            .map_err(Error::system("create a folder for the image"))?;
        let root = draft.join("root.tar");
        self.bootstrap(&root)?;
        write_layout(&draft, &root, self.command).map_err(Error::system("write the image"))?;
        match fs::rename(&draft, &layout) {
            // Somebody else was as fast.
            Err(_) if layout.join("index.json").exists() => Ok(layout),
            result => result.map(|()| layout).map_err(Error::system("put the image in its place")),
        }
    }

    fn bootstrap(&self, root: &Path) -> Result<(), Error> {
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"])
            .arg("--aptopt=APT::Install-Recommends \"false\"")
            .args(["--dpkgopt=path-exclude=/usr/share/man/man*/*", "--dpkgopt=path-exclude=/usr/share/doc/*"])
            // Some packages' scripts (update-alternatives) fail where these folders are missing.
            .arg("--setup-hook=mkdir -p \"$1/usr/share/man/man1\" \"$1/usr/share/man/man7\"")
            .env("SOURCE_DATE_EPOCH", EPOCH);
        if !self.packages.is_empty() {
            command.arg(format!("--include={}", self.packages.join(",")));
        }
        command.arg(RELEASE).arg(root).stdin(Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingProgram { program: "mmdebstrap", package: "mmdebstrap" },
            _ => Error::system("start mmdebstrap")(error),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let reason = words.lines().rev().find(|line| line.starts_with("E: ")).unwrap_or("no reason given");
        Err(Error::Bootstrap { image: self.name, reason: reason.to_owned() })
    }
}

/// Writes the layout in `folder` around the tar `root`, which becomes its one layer. The layer is not compressed: it would
/// be unpacked again a moment later, by the emulated machine.
fn write_layout(folder: &Path, root: &Path, command: &[&str]) -> io::Result<()> {
    let layer = file_descriptor(root)?;
    let layer_digest = layer["digest"].as_str().unwrap_or_default().to_owned();
    fs::rename(root, blob_path(folder, &layer_digest))?;

    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {
            "Cmd": command,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
    });
    let config = write_blob(folder, &config, "application/vnd.oci.image.config.v1+json")?;
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer] });
    let mut manifest = write_blob(folder, &manifest, MANIFEST_TYPE)?;
    manifest["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    fs::write(folder.join("index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())
}

fn file_descriptor(path: &Path) -> io::Result<Value> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        hasher.update(&buffer[..len]);
    }
    Ok(descriptor("application/vnd.oci.image.layer.v1.tar", &hasher.finalize(), file.stream_position()?))
}

fn write_blob(folder: &Path, value: &Value, media_type: &str) -> io::Result<Value> {
    let bytes = value.to_string();
    let descriptor = descriptor(media_type, &Sha256::digest(&bytes), bytes.len() as u64);
    let path = blob_path(folder, descriptor["digest"].as_str().unwrap_or_default());
    File::create(path)?.write_all(bytes.as_bytes())?;
    Ok(descriptor)
}

fn descriptor(media_type: &str, sha256: &[u8], size: u64) -> Value {
    let digest: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn blob_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::write_layout;

    #[test]
    fn a_layout_names_its_blobs_by_their_digests() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        let root = folder.path().join("root.tar");
        fs::write(&root, b"").unwrap();
        write_layout(folder.path(), &root, &["sh"]).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(folder.path().join("blobs/sha256").join(empty).exists());
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 3);
    }
}
