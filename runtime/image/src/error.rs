//! Why an image cannot be used: one enum, one line of text each, naming the part of the image that is at fault.

use std::io;

use oci_spec::image::Digest;

use crate::tar;

/// What can be wrong with an image or with unpacking it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "not an OCI image layout and not a docker archive: neither `oci-layout` nor `manifest.json` is in it"
    )]
    NotAnImage,
    #[error("cannot read the image archive: {0}")]
    Archive(#[source] tar::Error),
    #[error("cannot read `{name}`: {source}")]
    Read { name: String, source: io::Error },
    #[error("`{0}` is missing from the image")]
    Missing(String),
    #[error("`{name}` is {actual} bytes long, its descriptor says {expected}")]
    Size { name: String, expected: u64, actual: u64 },
    #[error("`{name}` is larger than {limit} bytes")]
    TooLarge { name: String, limit: u64 },
    #[error("the archive has more than {0} entries")]
    TooMany(usize),
    #[error("digest mismatch: {what} should be {expected}, but is {actual}")]
    Mismatch { what: String, expected: Digest, actual: Digest },
    #[error("digest algorithm of `{0}` is not supported (sha256 and sha512 are)")]
    Algorithm(String),
    #[error("`{name}` is not valid: {reason}")]
    Malformed { name: String, reason: String },
    #[error("media type `{0}` is not supported")]
    MediaType(String),
    #[error("image is for {found}, this machine runs linux/amd64")]
    Platform { found: String },
    #[error("no image `{wanted}` in the archive (it holds: {held})")]
    NoSuchReference { wanted: String, held: String },
    #[error("the archive holds {count} images, name one of: {held}")]
    Ambiguous { count: usize, held: String },
    #[error("layer {layer}: {source}")]
    Layer { layer: String, source: LayerError },
    #[error("layer {layer} cannot be read to its end: {source}")]
    Decode { layer: String, source: io::Error },
    #[error("cannot {action} `{path}`: {source}")]
    Directory { action: &'static str, path: String, source: io::Error },
}

/// What can be wrong within one layer. Paths are shown as in the layer, with odd bytes escaped.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("{0}")]
    Tar(#[from] tar::Error),
    #[error("path `{0}` leaves the layer")]
    Escape(String),
    #[error("path `{0}` passes through something that is not a directory (a symbolic link, say)")]
    NotADirectory(String),
    #[error("hard link `{path}` points to `{target}`, which does not exist")]
    LinkTarget { path: String, target: String },
    #[error("path `{0}` is longer than {limit} bytes", limit = crate::unpack::PATH_LIMIT)]
    TooLong(String),
    #[error("cannot {action} `{path}`: {source}")]
    Io { action: &'static str, path: String, source: io::Error },
}
