//! Which namespaces a container's first process is born into, and which it joins.

use std::fs::File;
use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use runtime_sys::clone::Namespaces;
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Error;

/// Reads `linux.namespaces`. A mount namespace of its own is required: set-up would change the machine's mounts otherwise.
pub fn of(spec: &Spec) -> Result<Namespaces, Error> {
    let mut namespaces = Namespaces::default();
    for namespace in listed(spec) {
        let unsupported = |what| Error::Unsupported { what, value: namespace.typ().to_string() };
        if namespace.path().is_some() {
            match namespace.typ() {
                LinuxNamespaceType::Network => continue,
                _ => return Err(unsupported("joining the namespace")),
            }
        }
        match namespace.typ() {
            LinuxNamespaceType::Mount => namespaces.mount = true,
            LinuxNamespaceType::Pid => namespaces.pid = true,
            LinuxNamespaceType::Uts => namespaces.uts = true,
            LinuxNamespaceType::Ipc => namespaces.ipc = true,
            LinuxNamespaceType::Network => namespaces.net = true,
            _ => return Err(unsupported("namespace")),
        }
    }
    if namespaces.mount { Ok(namespaces) } else { Err(Error::Incomplete("a mount namespace")) }
}

/// Moves this process into the namespaces that the configuration names by path.
pub fn join_listed(spec: &Spec) -> Result<(), Error> {
    for namespace in listed(spec) {
        if let (Some(path), LinuxNamespaceType::Network) = (namespace.path(), namespace.typ()) {
            join(path, LinkNameSpaceType::Network)?;
        }
    }
    Ok(())
}

/// Makes this process's next children be born in the pid namespace of the container, if it has one of its own.
pub fn enter_pid(spec: &Spec, first: Pid) -> Result<(), Error> {
    if of(spec)?.pid { join(&path(first, "pid"), LinkNameSpaceType::ProcessID) } else { Ok(()) }
}

/// Moves this process into all other namespaces of the container whose first process is `first`; the mount namespace is the last, because the
/// paths of the others are gone with it.
pub fn join_all(spec: &Spec, first: Pid) -> Result<(), Error> {
    let of = of(spec)?;
    let has_network = listed(spec).any(|namespace| namespace.typ() == LinuxNamespaceType::Network);
    let wanted = [
        (of.uts, "uts", LinkNameSpaceType::HostNameAndNISDomainName),
        (of.ipc, "ipc", LinkNameSpaceType::InterProcessCommunication),
        (has_network, "net", LinkNameSpaceType::Network),
        (of.mount, "mnt", LinkNameSpaceType::Mount),
    ];
    wanted
        .into_iter()
        .filter(|(wanted, ..)| *wanted)
        .try_for_each(|(_, name, kind)| join(&path(first, name), kind))
}

fn listed(spec: &Spec) -> impl Iterator<Item = &oci_spec::runtime::LinuxNamespace> {
    spec.linux().iter().filter_map(|linux| linux.namespaces().as_ref()).flatten()
}

fn path(pid: Pid, name: &str) -> std::path::PathBuf {
    format!("/proc/{}/ns/{name}", pid.as_raw_nonzero()).into()
}

fn join(path: &Path, kind: LinkNameSpaceType) -> Result<(), Error> {
    let what = || format!("join the namespace `{}`", path.display());
    let namespace = File::open(path).map_err(Error::io(what()))?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(kind)).map_err(Error::system(what()))
}
