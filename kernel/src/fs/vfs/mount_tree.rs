//! Changes of mount trees: mount(2) in its forms, umount2(2), pivot_root(2).

use super::file_system::{self, MountRequest};
use super::lookup::LookupStart;
use super::mount::{Mount, MountFlags, TREE_LOCK};
use super::mount_ns::{self, MountNs};
use super::place::Path;
use super::propagation::{self, Propagation};
use crate::error::{Errno, Error, Result};
use alloc::sync::Arc;

/// Mounts a new instance of `driver` on `target`.
///
/// # Errors
/// ENODEV for an unknown driver, ENOTDIR, EBUSY, the driver's.
pub fn mount_new(
    start: &LookupStart,
    target: Path,
    driver: &[u8],
    source: &[u8],
    flags: MountFlags,
    options: &[u8],
) -> Result<()> {
    let driver = file_system::find(driver)?;
    let read_only = flags.contains(MountFlags::READ_ONLY);
    let super_block = driver.mount(&MountRequest { options, read_only, start })?;
    let root = super_block.root().clone();
    if !target.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    let mount = Mount::new(super_block, root, source, flags);
    attach(mount, target)
}

/// Shows what is at `source` also at `target`; with `is_recursive` together with all mounts below.
///
/// # Errors
/// As mount(2) for MS_BIND.
pub fn bind(source: &Path, target: Path, is_recursive: bool) -> Result<()> {
    if source.is_directory() != target.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    if source.dentry.is_removed() && !source.is_mount_root() {
        return Err(Errno::ENOENT.into());
    }
    if source.mount.sharing().is_unbindable {
        return Err(Errno::EINVAL.into());
    }
    let copy = if is_recursive {
        let _tree = TREE_LOCK.lock();
        mount_ns::copy_tree(&source.mount, source.dentry.clone()).swap_remove(0).1
    } else {
        source.mount.duplicate(source.dentry.clone())
    };
    attach(copy.clone(), target).inspect_err(|_| {
        let _tree = TREE_LOCK.lock();
        copy.detach_tree();
    })
}

/// Changes the flags of the mount whose root is `target`; without `is_bind` also whether its file system is read-only, and its options.
///
/// # Errors
/// EINVAL if it is no mount's root, EBUSY with files open for writing, the driver's.
pub fn remount(
    start: &LookupStart,
    target: &Path,
    flags: MountFlags,
    options: &[u8],
    is_bind: bool,
) -> Result<()> {
    if !target.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    target.mount.set_flags(flags)?;
    if !is_bind {
        let super_block = target.mount.super_block();
        let read_only = flags.contains(MountFlags::READ_ONLY);
        super_block.ops().remount(&MountRequest { options, read_only, start })?;
        super_block.set_read_only(read_only);
    }
    Ok(())
}

/// Moves the mount whose root is `source` (and all below) to `target`.
///
/// # Errors
/// EINVAL if it is no mount's root or the namespace's top, ELOOP if `target` is below it.
pub fn move_mount(source: &Path, target: Path) -> Result<()> {
    if !source.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    if source.is_directory() != target.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    let _tree = TREE_LOCK.lock();
    let target = target.into_top();
    let namespace = namespace_of(&source.mount)?;
    if !Arc::ptr_eq(&namespace, &namespace_of(&target.mount)?) || source.mount.place().is_none() {
        return Err(Errno::EINVAL.into());
    }
    if is_below(&target.mount, &source.mount) {
        return Err(Errno::ELOOP.into());
    }
    if source.mount.place().is_some_and(|place| place.mount.sharing().group.is_some()) {
        return Err(Error::with(Errno::EINVAL, "the mount that it sits on is shared"));
    }
    source.mount.detach();
    source.mount.attach(target.clone());
    propagation::announce(&source.mount, &target);
    Ok(())
}

/// Sets how what is mounted below the mount at `target` propagates.
///
/// # Errors
/// EINVAL if it is no mount's root.
pub fn set_propagation(target: &Path, propagation: Propagation, is_recursive: bool) -> Result<()> {
    if !target.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    let _tree = TREE_LOCK.lock();
    if !is_recursive {
        propagation::set(&target.mount, propagation);
        return Ok(());
    }
    for mount in target.mount.tree() {
        propagation::set(&mount, propagation);
    }
    Ok(())
}

/// Takes the mount whose root is `target` away. Busy ones stay (EBUSY) unless `is_lazy` (MNT_DETACH).
///
/// # Errors
/// EINVAL if it is no mount's root or not in this namespace, EBUSY.
pub fn unmount(target: Path, is_lazy: bool) -> Result<()> {
    if !target.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    let mount = target.mount.clone();
    drop(target);
    let _tree = TREE_LOCK.lock();
    namespace_of(&mount)?;
    // The top of a namespace goes with it.
    let place = mount.place().ok_or(Error::with(Errno::EINVAL, "the root of the namespace stays"))?;
    if is_lazy {
        propagation::announce_unmount(&place);
        mount.detach_tree();
        return Ok(());
    }
    // Its parent's table and we are all that holds an idle mount.
    if mount.has_children() || Arc::strong_count(&mount) > 2 {
        return Err(Errno::EBUSY.into());
    }
    mount.super_block().ops().sync()?;
    propagation::announce_unmount(&place);
    mount.detach_tree();
    Ok(())
}

/// Makes `new_root` the namespace's root and puts the old one at `put_old`. Processes that stand at the old root are
/// the caller's to move ([`super::place::FsPlace::move_along`]).
///
/// # Errors
/// As pivot_root(2): EINVAL, EBUSY.
pub fn pivot_root(root: &Path, new_root: &Path, put_old: &Path) -> Result<()> {
    let tree = TREE_LOCK.lock();
    let namespace = namespace_of(&root.mount)?;
    for mount in [&new_root.mount, &put_old.mount] {
        if !Arc::ptr_eq(&namespace, &namespace_of(mount)?) {
            return Err(Errno::EINVAL.into());
        }
    }
    if new_root.is_same(root)
        || Arc::ptr_eq(&new_root.mount, &root.mount)
        || Arc::ptr_eq(&put_old.mount, &root.mount)
    {
        return Err(Errno::EBUSY.into());
    }
    if !root.is_mount_root() || !new_root.is_mount_root() || new_root.mount.place().is_none() {
        return Err(Errno::EINVAL.into());
    }
    if root.mount.place().is_none() && !Arc::ptr_eq(&root.mount, &namespace.root_mount()) {
        return Err(Errno::EINVAL.into());
    }
    let is_shared = |mount: &Arc<Mount>| mount.sharing().group.is_some();
    let has_shared_place = |mount: &Arc<Mount>| mount.place().is_some_and(|place| is_shared(&place.mount));
    if is_shared(&put_old.mount) || has_shared_place(&new_root.mount) || has_shared_place(&root.mount) {
        return Err(Error::with(Errno::EINVAL, "a mount concerned is shared"));
    }
    // COMPAT: Linux refuses when the root is the initial ramfs, for it cannot be unmounted later; ours can.
    if !is_path_below(put_old, new_root) || !is_path_below(new_root, root) {
        return Err(Errno::EINVAL.into());
    }
    let root_place = root.mount.place();
    new_root.mount.detach();
    root.mount.detach();
    // `put_old` is at or below the new root; the new root may be put onto itself (`pivot_root(".", ".")`).
    root.mount.attach(put_old.clone().into_top());
    match root_place {
        Some(place) => new_root.mount.attach(place),
        None => namespace.set_root_mount(new_root.mount.clone()),
    }
    drop(tree);
    Ok(())
}

/// Attaches `mount` (and what is below it) on top of `target`.
fn attach(mount: Arc<Mount>, target: Path) -> Result<()> {
    let _tree = TREE_LOCK.lock();
    let target = target.into_top();
    if target.dentry.is_removed() {
        return Err(Errno::ENOENT.into());
    }
    let namespace = namespace_of(&target.mount)?;
    namespace.check_room(mount.tree().len())?;
    mount.set_namespace(&Arc::downgrade(&namespace));
    mount.attach(target.clone());
    propagation::announce(&mount, &target);
    Ok(())
}

fn namespace_of(mount: &Arc<Mount>) -> Result<Arc<MountNs>> {
    mount.namespace().ok_or(Errno::EINVAL.into())
}

fn is_below(mount: &Arc<Mount>, above: &Arc<Mount>) -> bool {
    let mut at = mount.clone();
    loop {
        if Arc::ptr_eq(&at, above) {
            return true;
        }
        match at.place() {
            Some(place) => at = place.mount,
            None => return false,
        }
    }
}

fn is_path_below(path: &Path, above: &Path) -> bool {
    let mut at = path.clone();
    loop {
        if Arc::ptr_eq(&at.mount, &above.mount) {
            return at.dentry.is_within(&above.dentry);
        }
        match at.mount.place() {
            Some(place) => at = place,
            None => return false,
        }
    }
}
