//! Exec: another process in the container, created and started like the first.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{Process, Spec};
use rustix::fs::OFlags;
use rustix::process::Pid;

use super::{Container, ExecStdio};
use crate::Error;
use crate::process::{child, namespaces};
use crate::root::Root;

/// What joins which container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The container's configuration.
    pub spec: &'a Spec,
    /// Its first process: a child of this process that was not waited for, so that the number cannot be anybody else's.
    pub first: Pid,
    pub process: &'a Process,
    pub stdio: ExecStdio,
}

impl Exec<'_> {
    /// Creates the process. On return it is a child of this one and waits for [`Container::start`].
    ///
    /// This process's later children are born in the container's pid namespace, too.
    ///
    /// # Errors
    ///
    /// What went wrong here or in the new process; no process is left then.
    pub fn create(self) -> Result<Container, Error> {
        namespaces::enter_pid(self.spec, self.first)?;
        Container::born(runtime_sys::clone::Namespaces::default(), |start, report| {
            child::exec(self, start, report)
        })
    }
}

/// A terminal for a process in a running container: the master and the inner end, from the container's own devpts.
///
/// Nothing that the container could have put at /dev/pts serves instead: what is opened must be devpts' own multiplexer.
///
/// # Errors
///
/// What the calls return; [`Error::Unsupported`] when there is something else.
pub fn open_terminal(first: Pid) -> Result<(OwnedFd, OwnedFd), Error> {
    /// DEVPTS_SUPER_MAGIC of Linux.
    const DEVPTS: i64 = 0x1cd1;
    let what = "open a pseudo-terminal of the container";
    let root = Root::new(format!("/proc/{}/root", first.as_raw_nonzero()));
    // Looked at before it is opened for use: opening a device that the container made could act on the machine.
    let at = root
        .open(Path::new("/dev/pts/ptmx"), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)
        .map_err(Error::io(what))?;
    let system = rustix::fs::fstatfs(&at).map_err(Error::system(what))?;
    let status = rustix::fs::fstat(&at).map_err(Error::system(what))?;
    if system.f_type != DEVPTS || status.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(Error::Unsupported { what: "terminal", value: "/dev/pts/ptmx".to_owned() });
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open(crate::root::path_of(&at), flags, rustix::fs::Mode::empty())
        .map_err(Error::system(what))?;
    rustix::pty::unlockpt(&master).map_err(Error::system(what))?;
    let flags =
        rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(Error::system(what))?;
    Ok((master, slave))
}
