//! Why a machine could not be started or used.

use std::io;
use std::path::PathBuf;

/// Every text names the thing and, where there is one, the package that brings it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program is not installed.
    #[error("{program} is not installed: it is in the package {package} (`cargo xtask setup` installs it)")]
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// The Debian package.
        package: &'static str,
    },
    /// A file that a package brings is not there.
    #[error("{path} is missing: it is in the package {package} (`cargo xtask setup` installs it)")]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// The Debian package.
        package: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot {what}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An image could not be assembled from packages.
    #[error("cannot assemble the image {image}: {reason}")]
    Bootstrap {
        /// The recipe's name.
        image: &'static str,
        /// What mmdebstrap said.
        reason: String,
    },
    /// QEMU ended before it connected to its ports.
    #[error("qemu did not start: {0}")]
    NotStarted(String),
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
