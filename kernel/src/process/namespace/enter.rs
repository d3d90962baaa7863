//! Leaving and entering namespaces (unshare(2), setns(2)).

use super::user::UserNamespace;
use super::{CLONE_NAMESPACES, Namespaces};
use crate::error::{Errno, Error, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::process::credentials::{Capability, Credentials};
use crate::thread::{Surroundings, Thread};
use alloc::sync::Arc;
use coffer_abi_types::process::{
    CLONE_FILES, CLONE_FS, CLONE_NEWNS, CLONE_NEWUSER, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM,
};

/// Stops sharing what `flags` name.
///
/// # Errors
/// As unshare(2).
pub fn unshare(thread: &Thread, flags: u64) -> Result<()> {
    const OWN: u64 = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    let process = thread.process();
    super::check_flags(flags)?;
    if flags & !(OWN | CLONE_NAMESPACES | CLONE_NEWUSER) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let is_threaded = process.thread_count() > 1;
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER) != 0 && is_threaded {
        return Err(Error::with(Errno::EINVAL, "threads cannot be told apart from each other"));
    }
    let mut credentials = process.credentials();
    if flags & CLONE_NEWUSER != 0 {
        credentials = Arc::new(in_new_user_namespace(thread, &credentials)?);
    }
    if flags & CLONE_NAMESPACES != 0 && !credentials.has_own(Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    let Surroundings { mut place, mut namespaces } = thread.surroundings().ok_or(Errno::ESRCH)?;
    // Two: the thread's own and this one.
    if flags & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER) != 0 && Arc::strong_count(&place) > 2 {
        place = Arc::new(place.duplicate());
    }
    if flags & CLONE_NAMESPACES != 0 {
        namespaces = Arc::new(namespaces.with_new(flags, &place, process.cgroup.get(), &credentials.user)?);
    }
    thread.replace_surroundings(Some(Surroundings { place, namespaces }));
    if flags & CLONE_NEWUSER != 0 {
        process.set_credentials((*credentials).clone());
    }
    // COMPAT: descriptors belong to the process, so this separates it from other processes, not its threads from each other.
    if flags & CLONE_FILES != 0 {
        let fds = process.fds();
        if Arc::strong_count(&fds) > 2 {
            process.replace_fds(Some(Arc::new(fds.duplicate()?)));
        }
    }
    Ok(())
}

/// `maker`'s credentials in a user namespace that is new.
///
/// # Errors
/// As clone(2) for CLONE_NEWUSER: EPERM for who has chosen another root directory than its mount namespace's, and for who has no id.
pub fn in_new_user_namespace(thread: &Thread, maker: &Credentials) -> Result<Credentials> {
    let Surroundings { place, namespaces } = thread.surroundings().ok_or(Errno::ESRCH)?;
    if !place.root().is_same(&namespaces.mount.root()) {
        return Err(Error::with(Errno::EPERM, "the root directory is not the mount namespace's"));
    }
    let mut inside = maker.clone();
    inside.enter(UserNamespace::new(maker)?);
    Ok(inside)
}

/// Enters all of `targets`, or none.
///
/// # Errors
/// As setns(2).
pub fn enter(thread: &Thread, targets: &[Namespace]) -> Result<()> {
    let process = thread.process();
    let Surroundings { place, namespaces } = thread.surroundings().ok_or(Errno::ESRCH)?;
    let mut new: Namespaces = (*namespaces).clone();
    let mut credentials = (*process.credentials()).clone();
    let mut mount_root = None;
    // The user namespace first: it may give what the others take.
    let is_user = |target: &&Namespace| matches!(target, Namespace::User(_));
    for target in targets.iter().filter(is_user).chain(targets.iter().filter(|target| !is_user(target))) {
        if !credentials.has_in(target.owner(), Capability::SysAdmin) {
            return Err(Errno::EPERM.into());
        }
        if !is_user(&target) && !credentials.has_own(Capability::SysAdmin) {
            return Err(Errno::EPERM.into());
        }
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
            Namespace::User(user) => {
                // One's own cannot be entered again, which would give back what was given up.
                let is_shared = process.thread_count() > 1 || Arc::strong_count(&place) > 2;
                if Arc::ptr_eq(user, &credentials.user) || is_shared {
                    return Err(Errno::EINVAL.into());
                }
                credentials.enter(user.clone());
            }
            Namespace::Only(_) => {}
            Namespace::Mount(mount) => {
                if !credentials.has_own(Capability::SysChroot) {
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
    if !Arc::ptr_eq(&credentials.user, &process.credentials().user) {
        process.set_credentials(credentials);
    }
    Ok(())
}
