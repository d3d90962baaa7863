//! Why a verb could not be done: moby's wording, because clients act on the words, and the HTTP status that goes with them.
//!
//! The texts are part of the wire format (docker prints them, and derives exit codes 125 to 127 from them), which is why they do not
//! follow the style of other messages here.

use std::io;

/// What a verb fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    #[error("No such image: {0}")]
    NoSuchImage(String),
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    #[error("Could not find the file {path} in container {container}")]
    NoSuchPath { path: String, container: String },
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that \
         container to be able to reuse that name."
    )]
    NameInUse { name: String, id: String },
    #[error("container {0} is not running")]
    NotRunning(String),
    #[error("cannot kill container: {name}: container {id} is not running")]
    KillNotRunning { name: String, id: String },
    #[error("Container {0} is already paused")]
    AlreadyPaused(String),
    #[error("Container {0} is not paused")]
    NotPaused(String),
    #[error("Container {id} is paused, unpause the container before {action}")]
    Paused { id: String, action: &'static str },
    #[error("Container {0} is restarting, wait until the container is running")]
    Restarting(String),
    #[error(
        "cannot remove container \"{name}\": container is {state}: stop the container before removing or force remove"
    )]
    RemoveRunning { name: String, state: &'static str },
    #[error("removal of container {0} is already in progress")]
    RemovalInProgress(String),
    #[error("remove {name}: volume is in use - [{users}]")]
    VolumeInUse { name: String, users: String },
    /// Another state than the verb needs.
    #[error("{0}")]
    Conflict(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The request makes sense, but may not be done.
    #[error("{0}")]
    Forbidden(String),
    /// Something that docker has and Coffer does not have.
    #[error("{0} is not supported by Coffer yet")]
    Unsupported(String),
    /// The container could not be started. The exit code is docker's: 125, 126 or 127.
    #[error("failed to create task for container: {message}")]
    Start { message: String, code: u8 },
    #[error("{0}")]
    Image(#[from] runtime_image::Error),
    #[error("{0}")]
    Oci(#[from] runtime_oci::Error),
    #[error("cannot {what}: {source}")]
    System { what: String, source: io::Error },
    #[error("cannot understand the stored {what}: {source}")]
    Stored { what: String, source: serde_json::Error },
    /// The network says no; the text is its own.
    #[error("{message}")]
    Network { message: String, status: u16 },
}

impl Error {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NoSuchContainer(_)
            | Self::NoSuchImage(_)
            | Self::NoSuchExec(_)
            | Self::NoSuchVolume(_)
            | Self::NoSuchNetwork(_)
            | Self::NoSuchPath { .. } => 404,
            Self::NameInUse { .. }
            | Self::NotRunning(_)
            | Self::KillNotRunning { .. }
            | Self::AlreadyPaused(_)
            | Self::NotPaused(_)
            | Self::Paused { .. }
            | Self::Restarting(_)
            | Self::RemoveRunning { .. }
            | Self::RemovalInProgress(_)
            | Self::VolumeInUse { .. }
            | Self::Conflict(_) => 409,
            Self::Ambiguous(_) | Self::Invalid(_) | Self::Start { .. } => 400,
            Self::Forbidden(_) => 403,
            Self::Unsupported(_) => 501,
            Self::Oci(error) if error.is_request() => 400,
            Self::Network { status, .. } => *status,
            Self::Image(_) | Self::Oci(_) | Self::System { .. } | Self::Stored { .. } => 500,
        }
    }

    /// The exit code of a container that could not be started for this reason.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start { code, .. } => *code,
            Self::Oci(error) => error.exit_code(),
            _ => runtime_oci::error::ENGINE,
        }
    }

    /// Turns a failed call into an error; `what` completes "cannot …".
    pub fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }
}
