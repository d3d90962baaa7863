//! Which namespaces a container's first process is born into.

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use runtime_sys::clone::Namespaces;

use crate::Error;

/// Reads `linux.namespaces`. A mount namespace of its own is required: set-up would change the machine's mounts otherwise.
pub fn of(spec: &Spec) -> Result<Namespaces, Error> {
    let listed = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let mut namespaces = Namespaces::default();
    for namespace in listed.into_iter().flatten() {
        let unsupported = |what| Error::Unsupported { what, value: namespace.typ().to_string() };
        if namespace.path().is_some() {
            return Err(unsupported("joining the namespace"));
        }
        match namespace.typ() {
            LinuxNamespaceType::Mount => namespaces.mount = true,
            LinuxNamespaceType::Pid => namespaces.pid = true,
            LinuxNamespaceType::Uts => namespaces.uts = true,
            LinuxNamespaceType::Ipc => namespaces.ipc = true,
            _ => return Err(unsupported("namespace")),
        }
    }
    if namespaces.mount { Ok(namespaces) } else { Err(Error::Incomplete("a mount namespace")) }
}
