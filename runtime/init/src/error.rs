//! Why PID 1 cannot go on, and the exit code that goes to the host.

use std::io;

use runtime_oci::error::ENGINE;

/// Everything that ends the sequence early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Image(#[from] runtime_image::Error),
    #[error("{0}")]
    Container(#[from] runtime_oci::Error),
    #[error("{0}")]
    Configuration(#[from] runtime_config::Error),
    #[error("{0}")]
    Network(#[from] runtime_network::Error),
    #[error("what this machine does cannot be measured: {0}")]
    Measurement(#[from] runtime_measure::LogError),
    #[error("no image disk is attached (a disk with the serial number `coffer-image`)")]
    NoDisk,
    #[error("cannot open the image disk `{path}`: {source}")]
    Disk { path: String, source: io::Error },
    #[error("the host's request is not valid: {0}")]
    Request(String),
    #[error("the host closed the control port before it sent a request")]
    NoRequest,
    #[error("asked to stop before anything was started")]
    Stopped,
    #[error("cannot {what}: {source}")]
    System { what: String, source: io::Error },
}

impl Error {
    /// The exit code that the host ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Container(error) => error.exit_code(),
            _ => ENGINE,
        }
    }

    /// Turns a failed call into an error; `what` completes "cannot …".
    pub fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }
}
