//! Open files that stand for a namespace (/proc/PID/ns, setns(2)).

use super::ipc::IpcNamespace;
use super::pid::PidNamespace;
use super::uts::UtsNamespace;
use super::{NamespaceId, Namespaces};
use crate::fs::open_file::FileOps;
use crate::fs::vfs::mount_ns::MountNs;
use crate::process::Process;
use alloc::sync::Arc;
use coffer_abi_types::process::{CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS};

/// A namespace that a file can stand for.
#[derive(Clone, Debug)]
pub enum Namespace {
    /// Mounts.
    Mount(Arc<MountNs>),
    /// Host names.
    Uts(Arc<UtsNamespace>),
    /// IPC objects.
    Ipc(Arc<IpcNamespace>),
    /// Process ids.
    Pid(Arc<PidNamespace>),
}

/// Names in /proc/PID/ns.
pub const NAMES: [&str; 5] = ["ipc", "mnt", "pid", "pid_for_children", "uts"];

impl Namespace {
    /// The one that /proc/PID/ns/`name` shows for `process`.
    pub fn of(process: &Process, name: &str) -> Option<Self> {
        let namespaces: Arc<Namespaces> = process.namespaces()?;
        Some(match name {
            "mnt" => Self::Mount(namespaces.mount.clone()),
            "uts" => Self::Uts(namespaces.uts.clone()),
            "ipc" => Self::Ipc(namespaces.ipc.clone()),
            "pid" => Self::Pid(process.pid_namespace().clone()),
            "pid_for_children" => Self::Pid(namespaces.pid_for_children.clone()),
            _ => return None,
        })
    }

    /// CLONE_NEW*: its kind.
    pub fn kind(&self) -> u64 {
        match self {
            Self::Mount(_) => CLONE_NEWNS,
            Self::Uts(_) => CLONE_NEWUTS,
            Self::Ipc(_) => CLONE_NEWIPC,
            Self::Pid(_) => CLONE_NEWPID,
        }
    }

    /// Its inode number.
    pub fn id(&self) -> NamespaceId {
        match self {
            // Mount namespaces count from 1: shown in the range that Linux gives to the first ones.
            Self::Mount(namespace) => NamespaceId(0xe000_0000 + namespace.id()),
            Self::Uts(namespace) => namespace.id(),
            Self::Ipc(namespace) => namespace.id(),
            Self::Pid(namespace) => namespace.id(),
        }
    }

    /// The kind's name in `mnt:[4026531841]`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Mount(_) => "mnt",
            Self::Uts(_) => "uts",
            Self::Ipc(_) => "ipc",
            Self::Pid(_) => "pid",
        }
    }
}

/// What serves an opened /proc/PID/ns file.
#[derive(Debug)]
pub struct NamespaceFile(pub Namespace);

impl FileOps for NamespaceFile {}
