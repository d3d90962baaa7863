//! What the first process does: a list of steps, each in its own file.
//!
//! It is the only thread of a copy of PID 1, so ordinary code may run. Nothing of PID 1's descriptors reaches the program: all
//! are closed on exec.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use oci_spec::runtime::{Process, Spec};

use super::report::Sender;
use super::steps;
use crate::Error;
use crate::lifecycle::{Bundle, Stdio};
use crate::root::Root;

/// Runs all steps; returns the exit status when one fails.
pub fn run(bundle: &Bundle<'_>, start: &OwnedFd, report: Sender<'_>) -> u8 {
    let Err(error) = execute(bundle, start, report);
    report.error(&error);
    error.exit_code()
}

fn execute(bundle: &Bundle<'_>, start: &OwnedFd, report: Sender<'_>) -> Result<Infallible, Error> {
    let spec = bundle.spec;
    let process = spec.process().as_ref().ok_or(Error::Incomplete("process"))?;
    set_up(spec, process, &bundle.stdio)?;
    runtime_sys::descriptor::close_on_exec_from(3).map_err(Error::io("mark descriptors to be closed"))?;
    report.ready()?;
    wait_for_start(start)?;
    Err(steps::exec::exec(process))
}

fn set_up(spec: &Spec, process: &Process, stdio: &Stdio<'_>) -> Result<(), Error> {
    let root = spec.root().as_ref().ok_or(Error::Incomplete("root"))?;
    let tree = Root::new(root.path());
    rustix::process::umask(rustix::fs::Mode::empty());

    steps::hostname::set(spec)?;
    steps::rootfs::detach_propagation(&tree)?;
    steps::mounts::mount_all(spec, &tree)?;
    steps::devices::create(spec, &tree)?;
    steps::rootfs::enter(&tree)?;
    steps::terminal::attach(stdio, process.user().uid())?;
    steps::paths::hide(spec)?;
    steps::directory::create_and_enter(process)?;
    if root.readonly().unwrap_or_default() {
        steps::rootfs::make_read_only()?;
    }
    steps::limits::set(process)?;
    steps::user::become_user(process)
}

fn wait_for_start(start: &OwnedFd) -> Result<(), Error> {
    let mut byte = [0; 1];
    loop {
        match rustix::io::read(start, &mut byte) {
            Ok(0) => return Err(Error::Vanished),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::system("wait for start")(errno)),
        }
    }
}
