//! Whose namespaces a container has, but for the network: `--pid`, `--ipc`, `--cgroupns`.

use std::path::PathBuf;

use runtime_oci::spec::Sharing;

use super::entry::{Entry, Record};
use crate::models::{HostConfig, HostConfigCgroupnsModeEnum};
use crate::{Engine, Error};

/// What the mode of a namespace begins with that is another container's.
const CONTAINER: &str = "container:";
const SHAREABLE: &str = "shareable";

/// Whether others may have the container's IPC namespace, and its /dev/shm with it.
pub fn is_shareable(host: &HostConfig) -> bool {
    host.ipc_mode.as_deref() == Some(SHAREABLE)
}

/// Whose control groups a container sees: its own, unless it is told otherwise or the kernel knows no other way.
pub fn cgroups_of(host: &HostConfig) -> Sharing {
    let is_host = host.cgroupns_mode == Some(HostConfigCgroupnsModeEnum::HOST);
    if is_host || !std::path::Path::new("/proc/self/ns/cgroup").exists() {
        Sharing::Host
    } else {
        Sharing::Own
    }
}

/// The container that a mode names.
fn named(mode: &Option<String>) -> Option<&str> {
    mode.as_deref()?.strip_prefix(CONTAINER)
}

impl Engine {
    /// Writes ids in the place of names, which may be somebody else's one day.
    pub(crate) fn resolve_modes(&self, host: &mut HostConfig) -> Result<(), Error> {
        for mode in [&mut host.network_mode, &mut host.pid_mode, &mut host.ipc_mode] {
            if let Some(name) = named(mode) {
                // The client takes every 404 of this call for a missing image, and would pull.
                let other = self.find(name).map_err(|error| Error::Invalid(error.to_string()))?;
                *mode = Some(format!("{CONTAINER}{}", other.id));
            }
        }
        Ok(())
    }

    /// The pid namespace of a container.
    pub(crate) fn pids_of(&self, record: &Record) -> Result<Sharing, Error> {
        let mode = &record.host_config.pid_mode;
        match named(mode) {
            Some(other) => {
                let pid = self.running(other, "PID")?.record().state.pid;
                Ok(Sharing::Of(format!("/proc/{pid}/ns/pid").into()))
            }
            None if mode.as_deref() == Some("host") => Ok(Sharing::Host),
            None => Ok(Sharing::Own),
        }
    }

    /// The IPC namespace of a container.
    pub(crate) fn ipc_of(&self, record: &Record) -> Result<Sharing, Error> {
        let Some(other) = named(&record.host_config.ipc_mode) else { return Ok(Sharing::Own) };
        let other = self.running(other, "IPC")?;
        if !is_shareable(&other.record().host_config) {
            return Err(Error::Conflict(format!(
                "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                other.id
            )));
        }
        let pid = other.record().state.pid;
        Ok(Sharing::Of(format!("/proc/{pid}/ns/ipc").into()))
    }

    /// The folder of the container whose /dev/shm a container has, where that is shared.
    pub(crate) fn lends_shm(&self, entry: &Entry, record: &Record) -> Result<Option<PathBuf>, Error> {
        match named(&record.host_config.ipc_mode) {
            Some(other) => self.find(other).map(|other| Some(other.folder.clone())),
            None => Ok(is_shareable(&record.host_config).then(|| entry.folder.clone())),
        }
    }
}
