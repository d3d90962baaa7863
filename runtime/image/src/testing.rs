//! What the tests build their images with. The `tar` crate writes the headers, so that our reader is not checked against itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::digest::sha256;
use crate::{Bundle, Image, Selection};

/// A tar in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Appends an entry; `change` has the last word on its header. Names are written as they are, however evil.
    pub fn entry(
        mut self,
        kind: EntryType,
        path: &str,
        link: &str,
        data: &[u8],
        change: impl Fn(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, path: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, path, "", data.as_bytes(), |_| {})
    }

    pub fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", b"", |_| {})
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, b"", |_| {})
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, b"", |_| {})
    }

    /// A pax header with these records for the next entry.
    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = format!(" {key}={value}\n");
            let mut length = body.len() + 1;
            while length.to_string().len() + body.len() != length {
                length += 1;
            }
            data.extend(format!("{length}{body}").bytes());
        }
        self.entry(EntryType::XHeader, "pax", "", &data, |_| {})
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }
}

/// A layout in the making: names and contents.
#[derive(Clone, Default)]
pub struct Layout {
    pub pieces: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// The layout of one image with these layers of plain tar.
    pub fn of_layers(layers: &[Vec<u8>]) -> Self {
        let mut layout = Self::default();
        let manifest = layout.image("amd64", layers);
        layout.index(&[manifest]);
        layout
    }

    /// Adds a blob; returns its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()});
        self.pieces.insert(format!("blobs/sha256/{}", digest.digest()), bytes);
        descriptor
    }

    /// Adds an image; returns the descriptor of its manifest.
    pub fn image(&mut self, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|layer| sha256(layer).to_string()).collect();
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/x"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar", layer.clone()))
            .collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut descriptor =
            self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
        descriptor
    }

    /// Sets what `index.json` lists.
    pub fn index(&mut self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.pieces.insert("index.json".to_owned(), index.to_string().into_bytes());
        self.pieces.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    }

    /// The layout as a tar, padded like a disk.
    pub fn archive(&self) -> File {
        let mut archive = Archive::default();
        for (name, bytes) in &self.pieces {
            archive = archive.entry(EntryType::Regular, name, "", bytes, |_| {});
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&archive.finish()).unwrap();
        file.write_all(&[0; 5 * 512]).unwrap();
        file.rewind().unwrap();
        file
    }

    pub fn open(&self) -> Result<Image, crate::Error> {
        Image::open(Bundle::archive(self.archive())?, &Selection::default())
    }
}

/// Unpacks the layers of a layout one after the other into `folder`; gives the directories, topmost first.
pub fn unpack_all(layout: &Layout, folder: &Path) -> Result<Vec<std::path::PathBuf>, crate::Error> {
    let image = layout.open()?;
    let mut unpacked = Vec::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let into = folder.join(number.to_string());
        crate::unpack::unpack(&image, layer, &into, &unpacked, |_| {})?;
        unpacked.insert(0, into);
    }
    Ok(unpacked)
}

/// Whether the test may make devices and give files away. Says so when not.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}
