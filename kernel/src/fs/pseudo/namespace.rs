//! Namespaces as files: what /proc/PID/ns/* lead to, and what setns(2) is given.

use super::path_of;
use crate::cgroup::CgroupNamespace;
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::flags::O_RDONLY;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::vfs::inode::{FileType, Inode, Metadata, Timestamp};
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::place::Path;
use crate::net::ns::NetNs;
use crate::process::Process;
use crate::process::namespace::ipc::IpcNamespace;
use crate::process::namespace::pid::PidNamespace;
use crate::process::namespace::user::UserNamespace;
use crate::process::namespace::uts::UtsNamespace;
use crate::syscall::UserPtr;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use coffer_abi_types::process::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER,
    CLONE_NEWUTS,
};
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
    /// Users, and what they may do.
    User(Arc<UserNamespace>),
    /// The kind of which there is a single one: `time`.
    Only(&'static str),
}

/// The number of the time namespace, as Linux numbers its initial one.
const TIME: u64 = 0xefff_fffa;
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
            Self::User(_) => "user",
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
            Self::User(namespace) => namespace.id().0,
            Self::Only(_) => TIME,
        }
    }

    /// CLONE_NEW* of its kind.
    pub fn flag(&self) -> u64 {
        match self {
            Self::Mount(_) => CLONE_NEWNS,
            Self::Uts(_) => CLONE_NEWUTS,
            Self::Ipc(_) => CLONE_NEWIPC,
            Self::Pid(_) => CLONE_NEWPID,
            Self::Net(_) => CLONE_NEWNET,
            Self::Cgroup(_) => CLONE_NEWCGROUP,
            Self::User(_) => CLONE_NEWUSER,
            Self::Only(_) => CLONE_NEWTIME,
        }
    }

    /// The user namespace that owns it; of a user namespace, itself: whoever may do all in it may enter it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        match self {
            Self::Mount(namespace) => namespace.owner(),
            Self::Uts(namespace) => namespace.owner(),
            Self::Ipc(namespace) => namespace.owner(),
            Self::Pid(namespace) => namespace.owner(),
            Self::Net(namespace) => namespace.owner(),
            Self::Cgroup(namespace) => namespace.owner(),
            Self::User(namespace) => namespace,
            Self::Only(_) => UserNamespace::initial(),
        }
    }

    /// What NS_GET_USERNS gives: the owner, if the caller is in it or around it.
    fn visible_owner(&self, caller: &Arc<UserNamespace>) -> Result<Self> {
        let owner = match self {
            Self::User(namespace) => namespace.parent(),
            other => Some(other.owner()),
        };
        let owner = owner.filter(|owner| caller.contains(owner)).ok_or(Errno::EPERM)?;
        Ok(Self::User(owner.clone()))
    }

    /// What NS_GET_PARENT gives, within the caller's own.
    fn visible_parent(&self, process: &Process) -> Result<Self> {
        let parent = match self {
            Self::User(_) => return self.visible_owner(&process.credentials().user),
            Self::Pid(namespace) => namespace.parent(),
            _ => return Err(Error::with(Errno::EINVAL, "such namespaces have no parents")),
        };
        let parent = parent.filter(|parent| process.pid_namespace().contains(parent)).ok_or(Errno::EPERM)?;
        Ok(Self::Pid(parent.clone()))
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

/// An opening: to be handed on, and asked for its relations (ioctl_nsfs(2)).
#[derive(Debug)]
struct NamespaceFile {
    namespace: Namespace,
}

const NS_GET_USERNS: u32 = 0xb701;
const NS_GET_PARENT: u32 = 0xb702;
const NS_GET_NSTYPE: u32 = 0xb703;
const NS_GET_OWNER_UID: u32 = 0xb704;

impl FileOps for NamespaceFile {
    fn ioctl(&self, _: &OpenFile, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        let open = |namespace: Namespace| {
            let file = namespace.to_path().open(O_RDONLY)?;
            Ok(context.install(file, true)?.0 as isize)
        };
        match command {
            NS_GET_USERNS => open(self.namespace.visible_owner(&context.process.credentials().user)?),
            NS_GET_PARENT => open(self.namespace.visible_parent(context.process)?),
            NS_GET_NSTYPE => Ok(self.namespace.flag() as isize),
            NS_GET_OWNER_UID => match &self.namespace {
                Namespace::User(namespace) => {
                    let uid = context.process.credentials().shown_uid(namespace.owner());
                    UserPtr::<u32>::new(argument).write(&uid).map(|()| 0)
                }
                _ => Err(Errno::EINVAL.into()),
            },
            _ => Err(Errno::ENOTTY.into()),
        }
    }
}

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
        Ok(Some(Arc::new(NamespaceFile { namespace: self.namespace.clone() })))
    }
}
