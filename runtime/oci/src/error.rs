//! Why a container cannot run, and the exit code that docker gives for it.

use std::io;

use rustix::io::Errno;

/// Exit code for everything that is the engine's or the configuration's fault.
pub const ENGINE: u8 = 125;
/// Exit code for an entrypoint that is there but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// Exit code for an entrypoint that is not there.
pub const NOT_FOUND: u8 = 127;

/// What can go wrong from a configuration to a running process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no command specified: the image has neither entrypoint nor cmd")]
    NoCommand,
    #[error("`{what}` contains a NUL byte")]
    Nul { what: &'static str },
    #[error("working directory `{0}` is not an absolute path")]
    WorkingDirectory(String),
    #[error("host name `{0}` is not valid")]
    HostName(String),
    #[error("user `{0}` is not in the image's /etc/passwd")]
    NoSuchUser(String),
    #[error("group `{0}` is not in the image's /etc/group")]
    NoSuchGroup(String),
    #[error("the image's `{path}` cannot be read: {source}")]
    Database { path: &'static str, source: io::Error },
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {0}")]
    NoSource(String),
    #[error("invalid {what}: unknown capability: \"{name}\"")]
    Capability { what: &'static str, name: String },
    #[error("container configuration lacks `{0}`")]
    Incomplete(&'static str),
    #[error("{what} `{value}` is not supported")]
    Unsupported { what: &'static str, value: String },
    #[error("the filter of system calls makes no sense: {0}")]
    Seccomp(String),
    #[error("exec `{program}`: {reason}")]
    Exec { program: String, reason: String, code: u8 },
    #[error("cannot {what}: {source}")]
    System { what: String, source: io::Error },
    /// An error that happened in the container's first process, as it told it.
    #[error("{message}")]
    Child { message: String, code: u8 },
    #[error("the container's first process ended during set-up")]
    Vanished,
}

impl Error {
    /// The exit code that `docker run` would end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { code, .. } | Self::Child { code, .. } => *code,
            _ => ENGINE,
        }
    }

    /// Whether it is the configuration that makes no sense, rather than the machine that fails.
    #[must_use]
    pub fn is_request(&self) -> bool {
        !matches!(self, Self::System { .. } | Self::Vanished | Self::Database { .. } | Self::Incomplete(_))
    }

    /// Turns a failed call into an error; `what` completes "cannot …".
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        let what = what.into();
        move |errno| Self::System { what, source: errno.into() }
    }

    /// The same for std's errors.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
