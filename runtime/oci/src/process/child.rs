//! What the first process does: a list of steps, each in its own file.
//!
//! It is the only thread of a copy of PID 1, so ordinary code may run. Nothing of PID 1's descriptors reaches the program: all
//! are closed on exec.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use oci_spec::runtime::{Process, Spec};

use super::namespaces;
use super::report::Sender;
use super::steps;
use super::steps::exec::Own;
use crate::Error;
use crate::lifecycle::{Bundle, Exec, Stdio};
use crate::root::Root;

/// Runs all steps; returns the exit status when one fails.
pub fn run(bundle: &Bundle<'_>, start: &OwnedFd, report: Sender<'_>) -> u8 {
    let Err(error) = execute(bundle, start, report);
    report.error(&error);
    error.exit_code()
}

/// The same for a process that joins a container.
pub fn exec(exec: Exec<'_>, start: &OwnedFd, report: Sender<'_>) -> u8 {
    let Err(error) = execute_in(exec, start, report);
    report.error(&error);
    error.exit_code()
}

fn execute_in(exec: Exec<'_>, start: &OwnedFd, report: Sender<'_>) -> Result<Infallible, Error> {
    let Exec { spec, first, process, stdio } = exec;
    let own = Own::look();
    protect()?;
    namespaces::join_all(spec, first)?;
    steps::terminal::attach_exec(&stdio, process.user().uid())?;
    steps::directory::create_and_enter(process)?;
    steps::limits::set(process)?;
    steps::seccomp::install(spec)?;
    steps::user::become_user(process)?;
    runtime_sys::descriptor::close_on_exec_from(3).map_err(Error::io("mark descriptors to be closed"))?;
    end_with_parent()?;
    report.ready()?;
    wait_for_start(start)?;
    Err(steps::exec::exec(process, &own))
}

fn execute(bundle: &Bundle<'_>, start: &OwnedFd, report: Sender<'_>) -> Result<Infallible, Error> {
    let spec = bundle.spec;
    let process = spec.process().as_ref().ok_or(Error::Incomplete("process"))?;
    let own = Own::look();
    protect()?;
    set_up(spec, process, &bundle.stdio)?;
    runtime_sys::descriptor::close_on_exec_from(3).map_err(Error::io("mark descriptors to be closed"))?;
    end_with_parent()?;
    report.ready()?;
    wait_for_start(start)?;
    Err(steps::exec::exec(process, &own))
}

fn set_up(spec: &Spec, process: &Process, stdio: &Stdio<'_>) -> Result<(), Error> {
    let root = spec.root().as_ref().ok_or(Error::Incomplete("root"))?;
    let tree = Root::new(root.path());
    rustix::process::umask(rustix::fs::Mode::empty());

    steps::cgroup::join(spec)?;
    namespaces::join_listed(spec)?;
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
    steps::seccomp::install(spec)?;
    steps::user::become_user(process)
}

/// Other processes of the container, and of one whose processes it shares, see this one. They must neither trace it nor reach through its
/// descriptors, and until it executes they may not: it is not dumpable (see PR_SET_DUMPABLE).
fn protect() -> Result<(), Error> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(Error::system("protect the process"))
}

/// Lets this process be killed when its parent dies: nobody would take its output and wait for it any more. (Changing ids takes the
/// request back, so this comes after that.)
fn end_with_parent() -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(Error::system("tie the process to its parent"))
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
