//! Which mounts hear of mounts made elsewhere (mount_namespaces(7)): peer groups that share both ways, slaves that only receive.
//!
//! Everything here happens under [`super::tree_lock`]. A mount knows its group and its master group; the members are found here.

use super::mount::{Home, Mount};
use super::mount_ns::{Copying, MountNs, copy_tree};
use super::place::Path;
use crate::error::Result;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::SpinLock;

/// A type as mount(2) sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Propagation {
    /// MS_PRIVATE.
    Private = 1 << 18,
    /// MS_SHARED.
    Shared = 1 << 20,
    /// MS_SLAVE.
    Slave = 1 << 19,
    /// MS_UNBINDABLE.
    Unbindable = 1 << 17,
}

/// How a mount is connected with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Its peer group: `shared:N` in mountinfo.
    pub group: Option<u64>,
    /// The group that it receives from: `master:N`.
    pub master: Option<u64>,
    /// It cannot be bound elsewhere.
    pub is_unbindable: bool,
}

#[derive(Debug, Default)]
struct Group {
    peers: Vec<Weak<Mount>>,
    slaves: Vec<Weak<Mount>>,
}

static GROUPS: SpinLock<BTreeMap<u64, Group>> = SpinLock::new(BTreeMap::new());
static NEXT_GROUP: AtomicU64 = AtomicU64::new(1);

/// Sets the type of one mount.
pub fn set(mount: &Arc<Mount>, propagation: Propagation) {
    let old = mount.sharing();
    let new = match propagation {
        Propagation::Shared => Sharing { group: Some(old.group.unwrap_or_else(new_group)), ..old },
        Propagation::Private => Sharing::default(),
        Propagation::Unbindable => Sharing { is_unbindable: true, ..Sharing::default() },
        // Without peers there is nobody to receive from but the master that it may have had.
        Propagation::Slave => {
            let has_peers = old.group.is_some_and(|group| members(group).0.len() > 1);
            Sharing { group: None, master: if has_peers { old.group } else { old.master }, ..old }
        }
    };
    connect(mount, new);
}

/// Gives `mount` its place among others: a copy starts with its original's.
pub fn connect(mount: &Arc<Mount>, sharing: Sharing) {
    let this = Arc::downgrade(mount);
    leave(mount.replace_sharing(sharing), |weak| Weak::ptr_eq(weak, &this));
    let mut groups = GROUPS.lock();
    if let Some(id) = sharing.group {
        groups.entry(id).or_default().peers.push(this.clone());
    }
    if let Some(id) = sharing.master {
        groups.entry(id).or_default().slaves.push(this);
    }
}

/// A mount with these connections is gone.
pub fn forget(sharing: Sharing) {
    leave(sharing, |_| false);
}

/// Takes those that `is_leaving` tells, and those that are gone, out of a mount's groups.
fn leave(old: Sharing, is_leaving: impl Fn(&Weak<Mount>) -> bool) {
    for id in [old.group, old.master].into_iter().flatten() {
        let mut groups = GROUPS.lock();
        let Some(group) = groups.get_mut(&id) else { continue };
        let stays = |weak: &Weak<Mount>| !is_leaving(weak) && weak.strong_count() > 0;
        group.peers.retain(stays);
        group.slaves.retain(stays);
        if group.peers.is_empty() && group.slaves.is_empty() {
            groups.remove(&id);
        }
    }
}

/// Copies of a mount for those that hear of it, each with where it goes.
#[derive(Debug)]
pub(super) struct Announcement {
    copies: Vec<(Arc<Mount>, Arc<MountNs>, Path)>,
}

/// What attaching `mount` at `place` will bring to those that hear of it.
///
/// # Errors
/// ENOSPC if it is more than one of their namespaces has room for, ENOMEM.
pub(super) fn prepare(mount: &Arc<Mount>, place: &Path) -> Result<Announcement> {
    let mut announcement = Announcement { copies: Vec::new() };
    if place.mount.sharing().group.is_none() {
        return Ok(announcement);
    }
    // What is mounted on a shared mount is itself shared.
    let tree = mount.tree();
    for mount in &tree {
        if mount.sharing().group.is_none() {
            set(mount, Propagation::Shared);
        }
    }
    let result = receivers(&place.mount)
        .into_iter()
        .try_for_each(|(receiver, is_slave)| announcement.add(mount, tree.len(), place, receiver, is_slave));
    match result {
        Ok(()) => Ok(announcement),
        Err(error) => {
            for (copy, ..) in announcement.copies {
                copy.detach_tree();
            }
            Err(error)
        }
    }
}

impl Announcement {
    fn add(
        &mut self,
        mount: &Arc<Mount>,
        mounts: usize,
        place: &Path,
        receiver: Arc<Mount>,
        is_slave: bool,
    ) -> Result<()> {
        let Some(namespace) = receiver.namespace() else { return Ok(()) };
        if !place.dentry.is_within(receiver.root()) {
            return Ok(());
        }
        let already = self.copies.iter().filter(|(_, other, _)| Arc::ptr_eq(other, &namespace)).count();
        namespace.check_room(mounts.saturating_mul(already + 1))?;
        let copies = copy_tree(mount, mount.root().clone(), Copying::Bindable)?;
        let is_less_privileged =
            place.mount.namespace().is_none_or(|source| !Arc::ptr_eq(source.owner(), namespace.owner()));
        if is_less_privileged {
            copies.iter().for_each(|(_, copy)| copy.lock());
        }
        if is_slave {
            for (original, copy) in &copies {
                let own_group = receiver.sharing().group.map(|_| new_group());
                let master = original.sharing().group;
                connect(copy, Sharing { group: own_group, master, is_unbindable: false });
            }
        }
        let place = Path { mount: receiver, dentry: place.dentry.clone() };
        self.copies.push((copies[0].1.clone(), namespace, place));
        Ok(())
    }

    /// The mount is attached: so are its copies now.
    pub(super) fn make(self) {
        for (copy, namespace, place) in self.copies {
            copy.set_home(&Home::Namespace(Arc::downgrade(&namespace)));
            copy.attach(place.into_top());
        }
    }
}

/// What hears of an unmount at `place` loses its mount there, too, unless something is mounted on that.
pub fn announce_unmount(place: &Path) {
    for (receiver, _) in receivers(&place.mount) {
        if let Some(child) = receiver.child_at(&place.dentry)
            && !child.has_children()
        {
            child.detach_tree();
        }
    }
}

/// All mounts that hear of changes on `mount`, and whether they are (directly or not) slaves.
fn receivers(mount: &Arc<Mount>) -> Vec<(Arc<Mount>, bool)> {
    let mut found = Vec::new();
    let mut known = BTreeSet::from([mount.id()]);
    let mut seen = BTreeSet::new();
    let mut pending: Vec<(u64, bool)> =
        mount.sharing().group.into_iter().map(|group| (group, false)).collect();
    while let Some((group, is_slave)) = pending.pop() {
        if !seen.insert(group) {
            continue;
        }
        let (peers, slaves) = members(group);
        pending.extend(slaves.iter().filter_map(|slave| slave.sharing().group).map(|group| (group, true)));
        let peers = peers.into_iter().map(|peer| (peer, is_slave));
        let slaves = slaves.into_iter().map(|slave| (slave, true));
        found.extend(peers.chain(slaves).filter(|(other, _)| known.insert(other.id())));
    }
    found
}

fn members(group: u64) -> (Vec<Arc<Mount>>, Vec<Arc<Mount>>) {
    let groups = GROUPS.lock();
    let Some(group) = groups.get(&group) else { return (Vec::new(), Vec::new()) };
    let alive = |list: &[Weak<Mount>]| list.iter().filter_map(Weak::upgrade).collect();
    (alive(&group.peers), alive(&group.slaves))
}

fn new_group() -> u64 {
    NEXT_GROUP.fetch_add(1, Ordering::Relaxed)
}
