//! User namespaces (user_namespaces(7)): ids of their own, and capabilities that count inside.
//!
//! The kernel counts with the ids of the initial namespace throughout. What a caller says is translated on its way in
//! ([`Credentials::kernel_uid`]), what it is told on its way out ([`Credentials::shown_uid`]). Who may do what to an object depends on the
//! namespace that owns the object: [`Credentials::has_in`].

use super::NamespaceId;
use crate::error::{Errno, Error, Result};
use crate::process::credentials::{ALL_CAPABILITIES, Capability, Credentials, set};
use crate::thread::Thread;
use alloc::sync::Arc;
use coffer_id_map::IdMap;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ostd::sync::{Lazy, Mutex, Once};

/// The number that Linux gives the initial one.
const INITIAL_ID: u64 = 0xefff_fffd;
/// Namespaces inside of the initial one nest this deep.
const LEVEL_MAX: usize = 32;
/// How many there may be on the machine (Linux: user.max_user_namespaces, by user and by memory).
const COUNT_MAX: usize = 16_384;
/// What an id that has no name is shown as (/proc/sys/kernel/overflowuid).
pub const OVERFLOW: u32 = 65534;

static INITIAL: Lazy<Arc<UserNamespace>> = Lazy::new(UserNamespace::first);
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Held while a table is written, or setgroups(2) forbidden.
static WRITING: Mutex<()> = Mutex::new(());

/// A user namespace.
#[derive(Debug)]
pub struct UserNamespace {
    id: NamespaceId,
    level: usize,
    parent: Option<Arc<Self>>,
    /// Effective ids of whoever made it.
    owner: (u32, u32),
    /// Whether its maker could give files capabilities: else nobody inside may be the parent's root (capabilities(7), CAP_SETFCAP).
    maker_could_set_file_capabilities: bool,
    uids: Once<IdMap>,
    gids: Once<IdMap>,
    allows_setgroups: AtomicBool,
}

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// /proc/PID/uid_map.
    Uids,
    /// /proc/PID/gid_map.
    Gids,
}

impl UserNamespace {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    fn first() -> Arc<Self> {
        let first = Self {
            id: NamespaceId(INITIAL_ID),
            level: 0,
            parent: None,
            owner: (0, 0),
            maker_could_set_file_capabilities: true,
            uids: Once::new(),
            gids: Once::new(),
            allows_setgroups: AtomicBool::new(true),
        };
        first.uids.call_once(IdMap::identity);
        first.gids.call_once(IdMap::identity);
        Arc::new(first)
    }

    /// That of the calling thread; the kernel's own tasks are in the initial one.
    pub fn of_caller() -> Arc<Self> {
        let caller = Thread::current();
        caller.map_or_else(|| INITIAL.clone(), |thread| thread.process().credentials().user.clone())
    }

    /// A new one inside of `maker`'s, without ids yet.
    ///
    /// # Errors
    /// ENOSPC if they nest too deeply or are too many, EPERM if the maker has no id in its own namespace.
    pub fn new(maker: &Credentials) -> Result<Arc<Self>> {
        let parent = &maker.user;
        if parent.level > LEVEL_MAX {
            return Err(Error::with(Errno::ENOSPC, "user namespaces nest too deeply"));
        }
        let owner = (maker.uid[1], maker.gid[1]);
        if parent.uid(owner.0).is_none() || parent.gid(owner.1).is_none() {
            return Err(Error::with(Errno::EPERM, "the caller has no id in its own user namespace"));
        }
        if COUNT.fetch_add(1, Ordering::Relaxed) >= COUNT_MAX {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::with(Errno::ENOSPC, "there are too many user namespaces"));
        }
        Ok(Arc::new(Self {
            id: NamespaceId::allocate(),
            level: parent.level + 1,
            parent: Some(parent.clone()),
            owner,
            maker_could_set_file_capabilities: maker.capabilities[set::EFFECTIVE]
                & (1 << Capability::Setfcap as u8)
                != 0,
            uids: Once::new(),
            gids: Once::new(),
            allows_setgroups: AtomicBool::new(parent.allows_setgroups()),
        }))
    }

    /// Its number for /proc/PID/ns/user.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The one around it.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// The user who made it, in the kernel's ids.
    pub fn owner(&self) -> u32 {
        self.owner.0
    }

    /// Whether it is the initial one.
    pub fn is_initial(&self) -> bool {
        self.parent.is_none()
    }

    /// Whether `self` is `other` or around it.
    pub fn contains(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        core::iter::successors(Some(other), |at| at.parent()).any(|at| Arc::ptr_eq(at, self))
    }

    /// What the kernel's `uid` is called here.
    pub fn uid(&self, uid: u32) -> Option<u32> {
        self.uids.get()?.to_inside(uid)
    }

    /// What the kernel's `gid` is called here.
    pub fn gid(&self, gid: u32) -> Option<u32> {
        self.gids.get()?.to_inside(gid)
    }

    /// The kernel's id for what is called `uid` here.
    pub fn kernel_uid(&self, uid: u32) -> Option<u32> {
        self.uids.get()?.to_outside(uid)
    }

    /// The kernel's id for what is called `gid` here.
    pub fn kernel_gid(&self, gid: u32) -> Option<u32> {
        self.gids.get()?.to_outside(gid)
    }

    /// Whether setgroups(2) is not forbidden for good (/proc/PID/setgroups).
    pub fn allows_setgroups(&self) -> bool {
        self.allows_setgroups.load(Ordering::Acquire)
    }

    /// Whether setgroups(2) works by now: there are groups, and it is not forbidden.
    pub fn may_set_groups(&self) -> bool {
        self.gids.get().is_some() && self.allows_setgroups()
    }

    /// Says whether setgroups(2) is allowed: what is forbidden stays so.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_setgroups(&self, is_allowed: bool) -> Result<()> {
        let _writing = WRITING.lock();
        if is_allowed && !self.allows_setgroups() || !is_allowed && self.gids.get().is_some() {
            return Err(Errno::EPERM.into());
        }
        self.allows_setgroups.store(is_allowed, Ordering::Release);
        Ok(())
    }

    fn table(&self, which: Table) -> &Once<IdMap> {
        match which {
            Table::Uids => &self.uids,
            Table::Gids => &self.gids,
        }
    }

    /// The lines of a table as a reader in `reader` sees them: first id here, first id in the reader's namespace (in the parent's, if the
    /// reader's is this one), how many.
    pub fn lines<'a>(
        self: &'a Arc<Self>,
        which: Table,
        reader: &'a Arc<Self>,
    ) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
        let outside = match (Arc::ptr_eq(self, reader), &self.parent) {
            (true, Some(parent)) => parent,
            _ => reader,
        };
        let outside = outside.table(which).get();
        self.table(which).get().into_iter().flat_map(|map| map.ranges()).map(move |range| {
            let lower = outside.and_then(|map| map.to_inside(range.outside)).unwrap_or(u32::MAX);
            (range.inside, lower, range.count)
        })
    }

    /// Writes a table, which works once. `opener` opened the file, `writer` writes to it.
    ///
    /// # Errors
    /// EPERM for whoever may not, or who names ids that are not theirs to give; EINVAL for what is no table.
    pub fn write_table(
        self: &Arc<Self>,
        which: Table,
        text: &[u8],
        opener: &Credentials,
        writer: &Credentials,
    ) -> Result<()> {
        let parent = self.parent.as_ref().ok_or(Error::with(Errno::EPERM, "the initial user namespace"))?;
        if !Arc::ptr_eq(&opener.user, self) && !Arc::ptr_eq(&opener.user, parent) {
            return Err(Errno::EPERM.into());
        }
        let _writing = WRITING.lock();
        let table = self.table(which);
        if table.get().is_some() || !opener.has_in(self, Capability::SysAdmin) {
            return Err(Errno::EPERM.into());
        }
        let map = IdMap::parse(text).map_err(|_| Errno::EINVAL)?;
        if !self.is_permitted(which, &map, parent, opener, writer) {
            return Err(Errno::EPERM.into());
        }
        let around = parent.table(which).get().ok_or(Errno::EPERM)?;
        let map =
            map.through(around).ok_or(Error::with(Errno::EPERM, "ids that the parent does not have"))?;
        table.call_once(|| map);
        Ok(())
    }

    /// "Defining user and group ID mappings: writing to uid_map and gid_map".
    fn is_permitted(
        self: &Arc<Self>,
        which: Table,
        map: &IdMap,
        parent: &Arc<Self>,
        opener: &Credentials,
        writer: &Credentials,
    ) -> bool {
        let maps_root = map.ranges().iter().any(|range| range.outside == 0);
        if which == Table::Uids && maps_root {
            let may = if Arc::ptr_eq(&opener.user, self) {
                self.maker_could_set_file_capabilities
            } else {
                opener.has_in(parent, Capability::Setfcap)
            };
            if !may {
                return false;
            }
        }
        if let [only] = map.ranges()
            && only.count == 1
            && self.owner.0 == opener.uid[1]
        {
            let is_own = match which {
                Table::Uids => parent.kernel_uid(only.outside) == Some(opener.uid[1]),
                Table::Gids => {
                    !self.allows_setgroups() && parent.kernel_gid(only.outside) == Some(opener.gid[1])
                }
            };
            if is_own {
                return true;
            }
        }
        let needed = if which == Table::Uids { Capability::Setuid } else { Capability::Setgid };
        writer.has_in(parent, needed) && opener.has_in(parent, needed)
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        if !self.is_initial() {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Credentials {
    /// Whether they have `capability` over what `namespace` owns: it is effective, and its holder's namespace is that one or around it; or
    /// they made a namespace that is that one or around it (user_namespaces(7), "Capabilities").
    pub fn has_in(&self, namespace: &Arc<UserNamespace>, capability: Capability) -> bool {
        let mut at = namespace;
        loop {
            if Arc::ptr_eq(at, &self.user) {
                return self.has_effective(capability);
            }
            let Some(parent) = at.parent() else { return false };
            if Arc::ptr_eq(parent, &self.user) && at.owner() == self.uid[1] {
                return true;
            }
            at = parent;
        }
    }

    /// Whether they have it in their own namespace.
    pub fn has_own(&self, capability: Capability) -> bool {
        self.has_effective(capability)
    }

    /// Whether they have it over a file of this owner: in their own namespace, if that has both ids.
    pub fn has_over(&self, (uid, gid): (u32, u32), capability: Capability) -> bool {
        self.has_effective(capability) && self.user.uid(uid).is_some() && self.user.gid(gid).is_some()
    }

    /// What a user is called to them; 65534 for one that has no name.
    pub fn shown_uid(&self, uid: u32) -> u32 {
        self.user.uid(uid).unwrap_or(OVERFLOW)
    }

    /// The same of a group.
    pub fn shown_gid(&self, gid: u32) -> u32 {
        self.user.gid(gid).unwrap_or(OVERFLOW)
    }

    /// The user that they call so.
    ///
    /// # Errors
    /// EINVAL if they know none.
    pub fn kernel_uid(&self, uid: u32) -> Result<u32> {
        self.user.kernel_uid(uid).ok_or(Error::with(Errno::EINVAL, "the user namespace has no such id"))
    }

    /// The group that they call so.
    ///
    /// # Errors
    /// EINVAL if they know none.
    pub fn kernel_gid(&self, gid: u32) -> Result<u32> {
        self.user.kernel_gid(gid).ok_or(Error::with(Errno::EINVAL, "the user namespace has no such id"))
    }

    /// Whose programs have all capabilities; `None`: nobody's.
    pub fn root_uid(&self) -> Option<u32> {
        self.user.kernel_uid(0)
    }

    /// They enter `namespace`, with all capabilities there and none elsewhere.
    pub fn enter(&mut self, namespace: Arc<UserNamespace>) {
        self.capabilities = [ALL_CAPABILITIES, ALL_CAPABILITIES, 0, ALL_CAPABILITIES, 0];
        self.securebits = 0;
        self.user = namespace;
    }
}
