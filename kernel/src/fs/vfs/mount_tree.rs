//! Changes of mount trees: mount(2) in its forms, umount2(2), pivot_root(2), and what the calls after mount(2) add (mount_setattr(2) …).
//!
//! Everything that a caller names must be in its own namespace, as must be what it mounts on.

use super::file_system::{self, MountRequest, SuperBlock};
use super::lookup::LookupStart;
use super::mount::{Home, Mount, MountFlags};
use super::mount_ns::{self, Copying, MountNs};
use super::place::Path;
use super::propagation::{self, Propagation};
use super::tree_lock;
use crate::error::{Errno, Error, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::process::credentials::Capability;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Mounts an instance of a file system on `target`.
///
/// # Errors
/// ENOTDIR, EINVAL, ENOENT if it was removed, ENOSPC.
pub fn mount_new(
    namespace: &Arc<MountNs>,
    target: Path,
    super_block: Arc<SuperBlock>,
    source: &[u8],
    flags: MountFlags,
) -> Result<()> {
    let root = super_block.root().clone();
    if !target.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    attach(namespace, &Mount::new(super_block, root, source, flags), target)
}

/// The flags that a new mount of `super_block` gets: in a namespace that is not the initial user namespace's, a file system that shows the machine
/// shows no more than a mount of it does that is already there, whose locked flags it takes over (user_namespaces(7)).
///
/// # Errors
/// EPERM if there is none, or if it is partly hidden or allows less than `flags`.
pub fn checked_flags(
    namespace: &Arc<MountNs>,
    super_block: &Arc<SuperBlock>,
    flags: MountFlags,
) -> Result<MountFlags> {
    let driver = file_system::find(super_block.driver().as_bytes());
    if namespace.owner().is_initial() || !driver.is_ok_and(|driver| driver.shows_the_machine()) {
        return Ok(flags);
    }
    let _tree = tree_lock::lock();
    let is_whole = |mount: &Arc<Mount>| {
        mount.super_block().driver() == super_block.driver()
            && Arc::ptr_eq(mount.root(), mount.super_block().root())
            && !has_locked_below(&Path::root_of(mount.clone()))
            && mount.check_locked_flags(flags).is_ok()
    };
    if namespace.mounts().iter().any(is_whole) { Ok(flags) } else { Err(Errno::EPERM.into()) }
}

/// Shows what is at `source` also at `target`; with `is_recursive` together with all mounts below.
///
/// # Errors
/// As mount(2) for MS_BIND.
pub fn bind(namespace: &Arc<MountNs>, source: &Path, target: Path, is_recursive: bool) -> Result<()> {
    if source.is_directory() != target.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    let copy = copy(namespace, source, is_recursive)?;
    attach(namespace, &copy, target).inspect_err(|_| {
        let _tree = tree_lock::lock();
        copy.detach_tree();
    })
}

/// Another mount of what is at `source` that sits nowhere; with `is_recursive` together with all mounts below that can be bound.
///
/// # Errors
/// EINVAL if it is in another namespace or unbindable, ENOENT if it was removed, ENOMEM.
pub fn copy(namespace: &Arc<MountNs>, source: &Path, is_recursive: bool) -> Result<Arc<Mount>> {
    let _tree = tree_lock::lock();
    if source.dentry.is_removed() && !source.is_mount_root() {
        return Err(Errno::ENOENT.into());
    }
    // Namespaces have no place, but can be given one.
    if !source.mount.is_in(namespace) && Namespace::of_path(source).is_none() {
        return Err(Errno::EINVAL.into());
    }
    if source.mount.sharing().is_unbindable {
        return Err(Errno::EINVAL.into());
    }
    if !is_recursive && has_locked_below(source) {
        return Err(Error::with(Errno::EINVAL, "it would show what mounts that are locked hide"));
    }
    if is_recursive {
        let mut copies = mount_ns::copy_tree(&source.mount, source.dentry.clone(), Copying::Bindable)?;
        let top = copies.swap_remove(0).1;
        top.set_locked(false);
        return Ok(top);
    }
    let copy = source.mount.duplicate(source.dentry.clone());
    copy.set_locked(false);
    Ok(copy)
}

/// Changes the flags of the mount whose root is `target`; without `is_bind` also whether its file system is read-only, and its options.
///
/// # Errors
/// EINVAL if it is no mount's root or in another namespace, EBUSY with files open for writing, the driver's.
pub fn remount(
    namespace: &Arc<MountNs>,
    start: &LookupStart,
    target: &Path,
    flags: MountFlags,
    options: &[u8],
    is_bind: bool,
) -> Result<()> {
    if !target.is_mount_root() || !target.mount.is_in(namespace) {
        return Err(Errno::EINVAL.into());
    }
    target.mount.check_locked_flags(flags)?;
    if !is_bind && !start.credentials.has_in(target.mount.super_block().owner(), Capability::SysAdmin) {
        return Err(Errno::EPERM.into());
    }
    target.mount.check_flags(flags)?;
    target.mount.set_flags(flags);
    if is_bind {
        return Ok(());
    }
    reconfigure(target.mount.super_block(), start, flags.contains(MountFlags::READ_ONLY), options)
}

/// Gives an instance of a file system other options.
///
/// # Errors
/// The driver's.
pub fn reconfigure(
    super_block: &SuperBlock,
    start: &LookupStart,
    read_only: bool,
    options: &[u8],
) -> Result<()> {
    super_block.ops().remount(&MountRequest { options, read_only, start })?;
    super_block.set_read_only(read_only);
    Ok(())
}

/// Changes flags and propagation of the mount whose root is `target`, with `is_recursive` also of all below: of all or of none.
///
/// # Errors
/// EINVAL if it is no mount's root or in another namespace, EBUSY if one would become read-only and has files open for writing.
pub fn change(
    namespace: &Arc<MountNs>,
    target: &Path,
    (set, clear): (MountFlags, MountFlags),
    propagation: Option<Propagation>,
    is_recursive: bool,
) -> Result<()> {
    let _tree = tree_lock::lock();
    let is_ours = target.mount.is_in(namespace) || target.mount.is_detached();
    if !target.is_mount_root() || !is_ours {
        return Err(Errno::EINVAL.into());
    }
    let changed = |mount: &Mount| (mount.flags() - clear) | set;
    let mounts = named(target, is_recursive);
    mounts.iter().try_for_each(|mount| {
        mount.check_locked_flags(changed(mount))?;
        mount.check_flags(changed(mount))
    })?;
    for mount in mounts {
        mount.set_flags(changed(&mount));
        if let Some(propagation) = propagation {
            propagation::set(&mount, propagation);
        }
    }
    Ok(())
}

/// Moves the mount whose root is `source` (and all below) to `target`. It may be one that only a descriptor holds.
///
/// # Errors
/// EINVAL if it is no mount's root, the namespace's top or a directory where the other is none, ELOOP if `target` is below it.
pub fn move_mount(namespace: &Arc<MountNs>, source: &Path, target: Path) -> Result<()> {
    let mount = &source.mount;
    let tree = tree_lock::lock();
    if !source.is_mount_root() || source.is_directory() != target.is_directory() {
        return Err(Errno::EINVAL.into());
    }
    if mount.is_detached() && mount.place().is_none() {
        drop(tree);
        return attach(namespace, mount, target);
    }
    let target = target.into_top();
    let place = mount.place().ok_or(Errno::EINVAL)?;
    if !mount.is_in(namespace) || !target.mount.is_in(namespace) {
        return Err(Errno::EINVAL.into());
    }
    if place.mount.sharing().group.is_some() {
        return Err(Error::with(Errno::EINVAL, "the mount that it sits on is shared"));
    }
    if mount.is_locked() {
        return Err(Error::with(Errno::EINVAL, "the mount is locked"));
    }
    check_bindable(mount, &target)?;
    if is_below(&target.mount, mount) {
        return Err(Errno::ELOOP.into());
    }
    if target.dentry.is_removed() {
        return Err(Errno::ENOENT.into());
    }
    let announcement = propagation::prepare(mount, &target)?;
    mount.detach();
    mount.attach(target);
    announcement.make();
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
    let _tree = tree_lock::lock();
    for mount in named(target, is_recursive) {
        propagation::set(&mount, propagation);
    }
    Ok(())
}

/// The mount at a place, alone or with all below.
fn named(place: &Path, is_recursive: bool) -> Vec<Arc<Mount>> {
    if is_recursive { place.mount.tree() } else { alloc::vec![place.mount.clone()] }
}

/// Takes the mount whose root is `target` away. Busy ones stay (EBUSY) unless `is_lazy` (MNT_DETACH).
///
/// # Errors
/// EINVAL if it is no mount's root or not in this namespace, EBUSY.
pub fn unmount(namespace: &Arc<MountNs>, target: Path, is_lazy: bool) -> Result<()> {
    if !target.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    let mount = target.mount.clone();
    drop(target);
    let _tree = tree_lock::lock();
    if !mount.is_in(namespace) {
        return Err(Errno::EINVAL.into());
    }
    // The top of a namespace goes with it.
    let place = mount.place().ok_or(Error::with(Errno::EINVAL, "the root of the namespace stays"))?;
    if mount.is_locked() {
        return Err(Error::with(Errno::EINVAL, "the mount is locked"));
    }
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
pub fn pivot_root(namespace: &Arc<MountNs>, root: &Path, new_root: &Path, put_old: &Path) -> Result<()> {
    let tree = tree_lock::lock();
    if [root, new_root, put_old].iter().any(|path| !path.mount.is_in(namespace)) {
        return Err(Errno::EINVAL.into());
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
    if new_root.mount.is_locked() {
        return Err(Error::with(Errno::EINVAL, "the new root is locked"));
    }
    // What hides something by being the root goes on hiding it.
    new_root.mount.set_locked(root.mount.is_locked());
    root.mount.set_locked(false);
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
fn attach(namespace: &Arc<MountNs>, mount: &Arc<Mount>, target: Path) -> Result<()> {
    let _tree = tree_lock::lock();
    let target = target.into_top();
    if target.dentry.is_removed() {
        return Err(Errno::ENOENT.into());
    }
    if !target.mount.is_in(namespace) || mount.place().is_some() {
        return Err(Errno::EINVAL.into());
    }
    check_bindable(mount, &target)?;
    namespace.check_room(mount.tree().len())?;
    let old_home = if mount.is_detached() { Home::Detached } else { Home::Nowhere };
    mount.set_home(&Home::Namespace(Arc::downgrade(namespace)));
    let announcement = propagation::prepare(mount, &target).inspect_err(|_| mount.set_home(&old_home))?;
    mount.attach(target);
    announcement.make();
    Ok(())
}

/// EINVAL if mounts that cannot be bound would be copied to others.
fn check_bindable(mount: &Arc<Mount>, target: &Path) -> Result<()> {
    let is_shared = target.mount.sharing().group.is_some();
    if is_shared && mount.tree().iter().any(|mount| mount.sharing().is_unbindable) {
        return Err(Errno::EINVAL.into());
    }
    Ok(())
}

/// Whether mounts that are locked sit on or below a place of their parent. [`tree_lock`] is held.
fn has_locked_below(place: &Path) -> bool {
    place
        .mount
        .children()
        .iter()
        .any(|child| child.is_locked() && child.place().is_some_and(|at| at.dentry.is_within(&place.dentry)))
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
