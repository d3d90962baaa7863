//! Why pulling failed, in docker's words where clients know them.

use std::io;

use runtime_image::store::StoreError;

/// What can go wrong between a registry and the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Get \"{url}\": {source}")]
    Connect { url: String, source: io::Error },
    #[error("Get \"{url}\": {source}")]
    Http { url: String, source: hyper::Error },
    #[error("Get \"{url}\": request canceled while waiting for {what} (Client.Timeout exceeded)")]
    TimedOut { url: String, what: &'static str },
    #[error("Get \"{url}\": {reason}")]
    Protocol { url: String, reason: String },
    #[error("Get \"{0}\": no basic auth credentials")]
    NoCredentials(String),
    #[error("{0}")]
    Unauthorized(String),
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': {detail}"
    )]
    Denied { name: String, detail: String },
    #[error("manifest for {name} not found: {detail}")]
    ManifestUnknown { name: String, detail: String },
    #[error("repository {name} not found: {detail}")]
    NameUnknown { name: String, detail: String },
    #[error("received unexpected HTTP status: {status} ({detail})")]
    Status { status: http::StatusCode, detail: String },
    #[error("manifest verification failed for digest {0}")]
    ManifestDigest(String),
    #[error("filesystem layer verification failed for digest {0}")]
    LayerDigest(String),
    #[error("image configuration verification failed for digest {0}")]
    ConfigDigest(String),
    #[error("`{what}` is larger than {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    #[error("`{what}` has {actual} bytes, its descriptor says {expected}")]
    Size { what: String, expected: u64, actual: u64 },
    #[error("no matching manifest for linux/amd64 in the manifest list entries")]
    Platform,
    #[error("{what} is not valid: {reason}")]
    Malformed { what: String, reason: String },
    #[error("unsupported media type {0}")]
    MediaType(String),
    #[error("write {path}: no space left on device")]
    NoSpace { path: String },
    #[error("write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("failed to register layer: {0}")]
    Layer(#[source] StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Error {
    /// Whether the registry refuses the credentials, or their absence.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::NoCredentials(_) | Self::Unauthorized(_) | Self::Denied { .. })
    }

    /// Whether another try may help: the network, or a server that is not well just now.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            // Certificates that are wrong stay so, which rustls tells as invalid data.
            Self::Connect { source, .. } => source.kind() != io::ErrorKind::InvalidData,
            Self::Http { .. } | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == http::StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }

    pub(crate) fn write(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Write { path, source },
        }
    }
}
