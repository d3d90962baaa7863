//! Leaving and entering namespaces (unshare(2), setns(2)).

use super::{CLONE_NAMESPACES, Namespaces};
use crate::error::{Errno, Error, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::process::credentials::Capability;
use crate::thread::{Surroundings, Thread};
use alloc::sync::Arc;
use coffer_abi_types::process::{
    CLONE_FILES, CLONE_FS, CLONE_NEWNS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM,
};

/// Stops sharing what `flags` name.
///
/// # Errors
/// As unshare(2).
pub fn unshare(thread: &Thread, flags: u64) -> Result<()> {
    const OWN: u64 = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    let process = thread.process();
    super::check_flags(flags)?;
    if flags & !(OWN | CLONE_NAMESPACES) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let is_threaded = process.thread_count() > 1;
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) != 0 && is_threaded {
        return Err(Error::with(Errno::EINVAL, "threads cannot be told apart from each other"));
    }
    if flags & CLONE_NAMESPACES != 0 && !process.credentials().has(Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let Surroundings { mut place, mut namespaces } = thread.surroundings().ok_or(Errno::ESRCH)?;
    // Two: the thread's own and this one.
    if flags & (CLONE_FS | CLONE_NEWNS) != 0 && Arc::strong_count(&place) > 2 {
        place = Arc::new(place.duplicate());
    }
    if flags & CLONE_NAMESPACES != 0 {
        namespaces = Arc::new(namespaces.with_new(flags, &place, process.cgroup.get())?);
    }
    thread.replace_surroundings(Some(Surroundings { place, namespaces }));
    // COMPAT: descriptors belong to the process, so this separates it from other processes, not its threads from each other.
    if flags & CLONE_FILES != 0 {
        let fds = process.fds();
        if Arc::strong_count(&fds) > 2 {
            process.replace_fds(Some(Arc::new(fds.duplicate()?)));
        }
    }
    Ok(())
}

/// Enters all of `targets`, or none.
///
/// # Errors
/// As setns(2).
pub fn enter(thread: &Thread, targets: &[Namespace]) -> Result<()> {
    let process = thread.process();
    let credentials = process.credentials();
    if !credentials.has(Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let Surroundings { place, namespaces } = thread.surroundings().ok_or(Errno::ESRCH)?;
    let mut new: Namespaces = (*namespaces).clone();
    let mut mount_root = None;
    for target in targets {
        match target {
            Namespace::Uts(uts) => new.uts = uts.clone(),
            Namespace::Ipc(ipc) => new.ipc = ipc.clone(),
            Namespace::Net(net) => new.net = net.clone(),
            Namespace::Cgroup(cgroup) => new.cgroup = cgroup.clone(),
            Namespace::Pid(pid) => {
                // Only downwards: ids must not leave their namespace (setns(2)).
                if !process.pid_namespace().contains(pid) {
                    return Err(Error::with(Errno::EINVAL, "not a descendant pid namespace"));
                }
                new.pid_for_children = pid.clone();
            }
            // There is one only, and everybody is in it; one's own user namespace cannot be entered again (setns(2)).
            Namespace::Only("user") => return Err(Errno::EINVAL.into()),
            Namespace::Only(_) => {}
            Namespace::Mount(mount) => {
                if !credentials.has(Capability::SysChroot) {
                    return Err(Errno::EPERM.into());
                }
                if Arc::strong_count(&place) > 2 {
                    return Err(Error::with(Errno::EINVAL, "root and working directory are shared"));
                }
                mount_root = Some(mount.root());
                new.mount = mount.clone();
            }
        }
    }
    if let Some(root) = mount_root {
        place.set_root(root.clone());
        place.set_cwd(root);
    }
    thread.replace_surroundings(Some(Surroundings { place, namespaces: Arc::new(new) }));
    Ok(())
}
