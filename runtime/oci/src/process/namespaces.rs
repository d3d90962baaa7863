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
                LinuxNamespaceType::Network | LinuxNamespaceType::Ipc | LinuxNamespaceType::Pid => continue,
                _ => return Err(unsupported("joining the namespace")),
            }
        }
        match namespace.typ() {
            LinuxNamespaceType::Mount => namespaces.mount = true,
            LinuxNamespaceType::Pid => namespaces.pid = true,
            LinuxNamespaceType::Uts => namespaces.uts = true,
            LinuxNamespaceType::Ipc => namespaces.ipc = true,
            LinuxNamespaceType::Network => namespaces.net = true,
            // Entered later, from within its group: `steps::cgroup`.
            LinuxNamespaceType::Cgroup => {}
            _ => return Err(unsupported("namespace")),
        }
    }
    if namespaces.mount { Ok(namespaces) } else { Err(Error::Incomplete("a mount namespace")) }
}

/// Moves this process into the namespaces that the configuration names by path, but for the one of its children.
pub fn join_listed(spec: &Spec) -> Result<(), Error> {
    for namespace in listed(spec) {
        match (namespace.path(), namespace.typ()) {
            (Some(path), LinuxNamespaceType::Network) => join(path, LinkNameSpaceType::Network)?,
            (Some(path), LinuxNamespaceType::Ipc) => {
                join(path, LinkNameSpaceType::InterProcessCommunication)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes this process's next children be born in the pid namespace that the configuration names by path.
pub fn enter_listed_pid(spec: &Spec) -> Result<(), Error> {
    let named = listed(spec).find(|namespace| namespace.typ() == LinuxNamespaceType::Pid);
    let path = named.and_then(|namespace| namespace.path().as_ref());
    path.map_or(Ok(()), |path| join(path, LinkNameSpaceType::ProcessID))
}

/// Makes this process's next children be born in the pid namespace of the container, if it is not the machine's.
pub fn enter_pid(spec: &Spec, first: Pid) -> Result<(), Error> {
    if lists(spec, LinuxNamespaceType::Pid) {
        join(&path(first, "pid"), LinkNameSpaceType::ProcessID)
    } else {
        Ok(())
    }
}

/// Moves this process into all other namespaces of the container whose first process is `first`; the mount namespace is the last, because the
/// paths of the others are gone with it.
pub fn join_all(spec: &Spec, first: Pid) -> Result<(), Error> {
    let wanted = [
        (LinuxNamespaceType::Uts, "uts", LinkNameSpaceType::HostNameAndNISDomainName),
        (LinuxNamespaceType::Ipc, "ipc", LinkNameSpaceType::InterProcessCommunication),
        (LinuxNamespaceType::Network, "net", LinkNameSpaceType::Network),
        (LinuxNamespaceType::Cgroup, "cgroup", LinkNameSpaceType::ControlGroup),
        (LinuxNamespaceType::Mount, "mnt", LinkNameSpaceType::Mount),
    ];
    wanted
        .into_iter()
        .filter(|(kind, ..)| lists(spec, *kind))
        .try_for_each(|(_, name, kind)| join(&path(first, name), kind))
}

/// Whether the container has such a namespace, be it its own or another's.
fn lists(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    listed(spec).any(|namespace| namespace.typ() == kind)
}

/// Whether it has a view of its own of control groups.
pub fn has_cgroup(spec: &Spec) -> bool {
    lists(spec, LinuxNamespaceType::Cgroup)
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
