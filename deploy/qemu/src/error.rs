//! Why a machine could not be started.

use std::io;
use std::path::PathBuf;

/// Every text names the thing and, where there is one, the package that brings it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program is not installed.
    #[error("{program} is not installed: it is in the package {package} (`apt-get install {package}`)")]
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// The Debian package.
        package: &'static str,
    },
    /// A file that a package brings is not there.
    #[error("{path} is missing: it is in the package {package} (`apt-get install {package}`)")]
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
    /// QEMU ended before it ran the machine.
    #[error("qemu did not start: {0}")]
    NotStarted(String),
    /// There is no such domain of libvirt's.
    #[error("libvirt did not start the machine: {0}")]
    NoDomain(String),
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
