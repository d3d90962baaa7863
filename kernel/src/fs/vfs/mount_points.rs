//! Which mounts sit on a name, in whatever namespace and by whatever way to it.
//!
//! A name that is a mount point in the caller's namespace stays. Where it is one in others only, they do not keep it: their mounts go
//! with it, so that nobody can hold up others' removals by mounting (rename(2), rmdir(2) and unlink(2) under EBUSY).

use super::dentry::Dentry;
use super::mount::Mount;
use super::mount_ns::MountNs;
use super::tree_lock;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// By the address of the dentry, which its mounts keep alive.
static POINTS: SpinLock<BTreeMap<usize, Vec<Weak<Mount>>>> = SpinLock::new(BTreeMap::new());

/// `mount` sits on `dentry` now. [`tree_lock`] is held.
pub(super) fn add(dentry: &Arc<Dentry>, mount: &Arc<Mount>) {
    POINTS.lock().entry(key(dentry)).or_default().push(Arc::downgrade(mount));
    dentry.mount_added();
}

/// It does not any more. [`tree_lock`] is held.
pub(super) fn remove(dentry: &Arc<Dentry>, mount: &Arc<Mount>) {
    dentry.mount_removed();
    let mut points = POINTS.lock();
    let Some(mounts) = points.get_mut(&key(dentry)) else { return };
    let this = Arc::downgrade(mount);
    mounts.retain(|other| !Weak::ptr_eq(other, &this));
    if mounts.is_empty() {
        points.remove(&key(dentry));
    }
}

/// Whether one of `namespace`'s mounts sits on `dentry`.
pub fn is_in(dentry: &Arc<Dentry>, namespace: &Arc<MountNs>) -> bool {
    dentry.is_mount_point() && on(dentry).iter().any(|mount| mount.is_in(namespace))
}

/// Takes away what is mounted on `dentry`, which has lost its name.
pub(super) fn detach(dentry: &Arc<Dentry>) {
    if !dentry.is_mount_point() {
        return;
    }
    let _tree = tree_lock::lock();
    for mount in on(dentry) {
        mount.detach_tree();
    }
}

fn on(dentry: &Arc<Dentry>) -> Vec<Arc<Mount>> {
    let points = POINTS.lock();
    points.get(&key(dentry)).into_iter().flatten().filter_map(Weak::upgrade).collect()
}

fn key(dentry: &Arc<Dentry>) -> usize {
    Arc::as_ptr(dentry).addr()
}
