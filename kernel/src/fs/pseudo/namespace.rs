//! Namespaces as files: what /proc/PID/ns/* lead to, and what setns(2) is given.

use super::path_of;
use crate::cgroup::CgroupNamespace;
use crate::error::Result;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::vfs::inode::{FileType, Inode, Metadata, Timestamp};
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::place::Path;
use crate::net::ns::NetNs;
use crate::process::namespace::ipc::IpcNamespace;
use crate::process::namespace::pid::PidNamespace;
use crate::process::namespace::uts::UtsNamespace;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;

/// A namespace of any kind.
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
    /// The network.
    Net(Arc<NetNs>),
    /// The root of the control groups.
    Cgroup(Arc<CgroupNamespace>),
    /// One of the kinds of which there is a single one: `user`, `time`.
    Only(&'static str),
}

/// Numbers of the namespaces that there is one of, as Linux numbers its initial ones.
const ONLY: [(&str, u64); 2] = [("user", 0xefff_fffd), ("time", 0xefff_fffa)];
/// Mount namespaces count from 1; their inode numbers from here.
const MOUNT_BASE: u64 = 0xf100_0000;

impl Namespace {
    /// The kind, as it is called in /proc/PID/ns.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mount(_) => "mnt",
            Self::Uts(_) => "uts",
            Self::Ipc(_) => "ipc",
            Self::Pid(_) => "pid",
            Self::Net(_) => "net",
            Self::Cgroup(_) => "cgroup",
            Self::Only(kind) => kind,
        }
    }

    /// Its inode number.
    pub fn ino(&self) -> u64 {
        match self {
            Self::Mount(namespace) => MOUNT_BASE + namespace.id(),
            Self::Uts(namespace) => namespace.id().0,
            Self::Ipc(namespace) => namespace.id().0,
            Self::Pid(namespace) => namespace.id().0,
            Self::Net(namespace) => namespace.id().0,
            Self::Cgroup(namespace) => namespace.id().0,
            Self::Only(kind) => ONLY.iter().find(|(name, _)| name == kind).map_or(0, |(_, ino)| *ino),
        }
    }

    /// `mnt:[4026531841]`.
    pub fn name(&self) -> String {
        format!("{}:[{}]", self.kind(), self.ino())
    }

    /// A place that leads to it and keeps it.
    pub fn to_path(&self) -> Path {
        path_of(Arc::new(NamespaceInode { namespace: self.clone(), born: Timestamp::now() }), &self.name())
    }

    /// The namespace behind an open file; `None`: the file is something else.
    pub fn of_file(file: &OpenFile) -> Option<Self> {
        Self::of_path(file.path())
    }

    /// The namespace at a place; `None`: something else is there.
    pub fn of_path(path: &Path) -> Option<Self> {
        let inode: &dyn Any = &**path.inode().ok()?;
        Some(inode.downcast_ref::<NamespaceInode>()?.namespace.clone())
    }
}

/// The inode of a place that leads to a namespace.
#[derive(Debug)]
struct NamespaceInode {
    namespace: Namespace,
    born: Timestamp,
}

/// An opening: nothing can be done with it but to hand it on.
#[derive(Debug)]
struct NamespaceFile;

impl FileOps for NamespaceFile {}

impl Inode for NamespaceInode {
    fn metadata(&self) -> Metadata {
        Metadata {
            dev: super::device(),
            ino: self.namespace.ino(),
            file_type: FileType::Regular,
            permissions: 0o444,
            links: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            block_size: 4096,
            accessed: self.born,
            modified: self.born,
            changed: self.born,
        }
    }

    fn open(&self, _: u32) -> Result<Option<Arc<dyn FileOps>>> {
        Ok(Some(Arc::new(NamespaceFile)))
    }
}
