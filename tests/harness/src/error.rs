//! Why a container could not be run or assembled.

use std::io;

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
    /// A machine cannot be used as it was asked for.
    #[error("the machine has no ports, or they were taken already")]
    NoPorts,
    /// The machine.
    #[error(transparent)]
    Machine(#[from] coffer_qemu::Error),
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
