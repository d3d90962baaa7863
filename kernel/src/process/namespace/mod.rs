//! Namespaces (namespaces(7)): mount, pid, uts, ipc, network, cgroup and user. There are no time namespaces: asking for one is EINVAL, as on a
//! Linux that was built without them.

pub mod enter;
pub mod ipc;
pub mod leave;
pub mod pid;
pub mod user;
pub mod uts;

use crate::cgroup::{Cgroup, CgroupNamespace};
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::place::FsPlace;
use crate::net::ns::NetNs;
use alloc::sync::Arc;
use coffer_abi_types::process::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUTS,
};
use core::sync::atomic::{AtomicU64, Ordering};
use ipc::IpcNamespace;
use pid::PidNamespace;
use user::UserNamespace;
use uts::UtsNamespace;

/// A namespace's inode number, as /proc/PID/ns shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespaceId(pub u64);

impl NamespaceId {
    /// A number of its own, in the range that Linux uses.
    pub fn allocate() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0xf000_0001);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The namespaces of a process.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Mounts.
    pub mount: Arc<MountNs>,
    /// Host names.
    pub uts: Arc<UtsNamespace>,
    /// IPC objects.
    pub ipc: Arc<IpcNamespace>,
    /// Links, addresses, routes, sockets.
    pub net: Arc<NetNs>,
    /// What looks like the root of the control groups.
    pub cgroup: Arc<CgroupNamespace>,
    /// Where its children get their ids; its own are [`super::Process::pid_namespace`].
    pub pid_for_children: Arc<PidNamespace>,
}

/// The namespaces of a thread that there are: all but the user namespace, which belongs to credentials.
pub const CLONE_NAMESPACES: u64 =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
/// Those that there are not.
const ABSENT: u64 = CLONE_NEWTIME;

impl Namespaces {
    /// The initial ones around a first mount namespace.
    pub fn initial(mount: Arc<MountNs>) -> Self {
        Self {
            mount,
            uts: UtsNamespace::initial().clone(),
            ipc: IpcNamespace::initial().clone(),
            net: NetNs::initial().clone(),
            cgroup: CgroupNamespace::initial().clone(),
            pid_for_children: PidNamespace::initial().clone(),
        }
    }

    /// These, with a new one for each CLONE_NEW* in `flags`, which `user` owns. `place` moves over to the new mounts; `cgroup` looks like the
    /// root from now on.
    ///
    /// # Errors
    /// EINVAL for a kind that there is not; what making one gives.
    pub fn with_new(
        &self,
        flags: u64,
        place: &FsPlace,
        cgroup: Arc<Cgroup>,
        user: &Arc<UserNamespace>,
    ) -> Result<Self> {
        check_flags(flags)?;
        let mut new = self.clone();
        if flags & CLONE_NEWPID != 0 {
            new.pid_for_children = PidNamespace::new(&self.pid_for_children, user)?;
        }
        if flags & CLONE_NEWUTS != 0 {
            new.uts = self.uts.duplicate(user);
        }
        if flags & CLONE_NEWIPC != 0 {
            new.ipc = IpcNamespace::new(user);
        }
        if flags & CLONE_NEWNET != 0 {
            new.net = NetNs::new(user)?;
        }
        if flags & CLONE_NEWCGROUP != 0 {
            new.cgroup = CgroupNamespace::new(cgroup, user);
        }
        if flags & CLONE_NEWNS != 0 {
            new.mount = self.mount.duplicate(place, user)?;
        }
        Ok(new)
    }
}

/// Refuses kinds of namespaces that there are not.
///
/// # Errors
/// EINVAL.
pub fn check_flags(flags: u64) -> Result<()> {
    if flags & ABSENT != 0 {
        return Err(Error::with(Errno::EINVAL, "no such kind of namespace"));
    }
    Ok(())
}
