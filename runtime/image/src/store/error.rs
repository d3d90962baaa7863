//! What the store refuses, in docker's words, and the HTTP status that goes with each.

use std::io;

use crate::reference::ReferenceError;

/// What a request to the store can fail with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("No such image: {0}")]
    NoSuchImage(String),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("refusing to create a tag with a digest reference")]
    TagWithDigest,
    #[error(
        "conflict: unable to remove repository reference \"{name}\" (must force) - container {container} is using its referenced \
         image {image}"
    )]
    NameInUse { name: String, container: String, image: String },
    #[error("conflict: unable to delete {image} ({force}) - {reason}")]
    Conflict { image: String, force: &'static str, reason: String },
    #[error(transparent)]
    Image(crate::Error),
    #[error("no space left on device")]
    NoSpace,
    #[error("cannot {action} `{path}`: {source}")]
    Io { action: &'static str, path: String, source: io::Error },
    #[error("the image store's index is not valid: {0}")]
    Index(#[source] serde_json::Error),
}

impl StoreError {
    /// The HTTP status of docker's answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NoSuchImage(_) => 404,
            Self::Reference(_) | Self::TagWithDigest => 400,
            Self::NameInUse { .. } | Self::Conflict { .. } => 409,
            Self::Image(_) | Self::NoSpace | Self::Io { .. } | Self::Index(_) => 500,
        }
    }

    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<crate::Error> for StoreError {
    fn from(error: crate::Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = source {
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
                return Self::NoSpace;
            }
            source = cause.source();
        }
        Self::Image(error)
    }
}
