//! The life of a container: created (everything is set up, the program not yet executed), started, ended.
//!
//! One file a verb. Waiting is not here: PID 1 reaps all its children in one place, this one among them.

mod create;
mod exec;
mod kill;
mod start;

use std::os::fd::OwnedFd;

use oci_spec::runtime::Spec;
use rustix::process::Pid;

pub use self::exec::{Exec, open_terminal};
use crate::terminal::Terminal;

/// What a container is created from. Its root file system is mounted at `spec.root.path`.
#[derive(Debug)]
pub struct Bundle<'a> {
    pub spec: &'a Spec,
    pub stdio: Stdio<'a>,
}

/// The container's ends of its standard streams.
#[derive(Debug)]
pub enum Stdio<'a> {
    /// Given to the container and closed here.
    Streams { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    /// All three are the terminal's inner end.
    Terminal(&'a Terminal),
}

/// The streams of a process that joins a container; closed here when it has them.
#[derive(Debug)]
pub enum ExecStdio {
    Streams {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// The inner end of a terminal, see [`open_terminal`].
    Terminal(OwnedFd),
}

/// A container whose first process exists, or a process that joined one.
#[derive(Debug)]
pub struct Container {
    pid: Pid,
    /// Writing a byte lets the first process execute its program.
    start: OwnedFd,
    /// Where the first process tells what goes wrong.
    report: crate::process::report::Receiver,
}

impl Container {
    /// The first process as seen from here; inside it is pid 1.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }
}
