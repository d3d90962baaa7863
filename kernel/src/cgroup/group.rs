//! [`Cgroup`]: one group, its place in the tree, and what it tells when it gets its first process or loses its last.

use super::devices::Devices;
use super::{Controllers, HIERARCHY, Memory, Pids};
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::process::Process;
use crate::process::times::CpuTimes;
use crate::sched::share::Share;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Bound;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::{Lazy, Once, SpinLock};

/// The deepest nesting: walks down the tree are recursive.
const MAX_DEPTH: usize = 64;

/// A group.
#[derive(Debug)]
pub struct Cgroup {
    name: Box<[u8]>,
    parent: Option<Arc<Self>>,
    depth: usize,
    pub(super) state: SpinLock<State>,
    /// How many tasks there are and may be.
    pub pids: Pids,
    /// How much memory they have touched and may touch.
    pub memory: Memory,
    /// Which devices they may use.
    pub devices: Devices,
    /// What they get of the CPUs; `None` for the root.
    pub share: Option<Arc<Share>>,
    /// The CPUs that were chosen for it, a bit each; 0: those of the group above.
    pub(super) cpus: AtomicU64,
    /// Rings when what `cgroup.events` says changes.
    pub events: Bell,
    face: Once<Weak<dyn Face>>,
}

/// Tells those who poll a file that what it says has changed.
#[derive(Debug, Default)]
pub struct Bell {
    /// Who polls.
    pub pollee: Pollee,
    rings: AtomicU64,
}

impl Bell {
    /// How often it has rung.
    pub fn rings(&self) -> u64 {
        self.rings.load(Ordering::Acquire)
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::AcqRel);
        self.pollee.notify(IoEvents::PRI | IoEvents::ERR);
    }
}

/// Who shows a group, and is told of what changes by itself.
pub trait Face: Send + Sync + core::fmt::Debug {
    /// What the file `name` says has changed. Must not sleep.
    fn changed(&self, name: &'static str);
}

/// What changes, under `HIERARCHY`.
#[derive(Debug)]
pub(super) struct State {
    pub children: BTreeMap<Box<[u8]>, Arc<Cgroup>>,
    pub is_removed: bool,
    /// Living processes by id.
    pub members: BTreeMap<u32, Weak<Process>>,
    pub populated_children: usize,
    pub subtree_control: Controllers,
    pub max_depth: usize,
    pub max_descendants: usize,
    /// Threads of the members, and how many of them are frozen.
    pub threads: usize,
    pub frozen_threads: usize,
    pub frozen_children: usize,
    /// What was written to `cgroup.freeze`.
    pub wants_freeze: bool,
    /// That, here or above.
    pub is_freezing: bool,
    /// All threads here and below have come to rest.
    pub is_frozen: bool,
    /// CPU time of members that ended or left, and of groups below that were removed.
    pub past: CpuTimes,
}

static ROOT: Lazy<Arc<Cgroup>> = Lazy::new(|| Arc::new(Cgroup::new(Box::default(), None, Memory::default())));

/// The root, in which the first process is.
pub fn root() -> &'static Arc<Cgroup> {
    &ROOT
}

impl Cgroup {
    fn new(name: Box<[u8]>, parent: Option<Arc<Self>>, memory: Memory) -> Self {
        let is_freezing = parent.as_ref().is_some_and(|parent| parent.state.lock().is_freezing);
        let state = State {
            children: BTreeMap::new(),
            is_removed: false,
            members: BTreeMap::new(),
            populated_children: 0,
            subtree_control: Controllers::empty(),
            max_depth: usize::MAX,
            max_descendants: usize::MAX,
            threads: 0,
            frozen_threads: 0,
            frozen_children: 0,
            wants_freeze: false,
            is_freezing,
            is_frozen: false,
            past: CpuTimes::default(),
        };
        let share = parent.as_ref().map(|parent| Share::new(parent.share.clone()));
        Self {
            name,
            depth: parent.as_ref().map_or(0, |parent| parent.depth + 1),
            parent,
            state: SpinLock::new(state),
            pids: Pids::default(),
            memory,
            devices: Devices::default(),
            share,
            cpus: AtomicU64::new(0),
            events: Bell::default(),
            face: Once::new(),
        }
    }

    /// Makes the group `name` in this one.
    ///
    /// # Errors
    /// EEXIST; EINVAL for a name with a line's end in it; EAGAIN past the limits of the groups above; ENODEV if this one was removed; ENOSPC, ENOMEM.
    pub fn create(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Self>> {
        if name.contains(&b'\n') {
            return Err(Errno::EINVAL.into());
        }
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        let _hierarchy = HIERARCHY.lock();
        self.check_limits()?;
        let memory = Memory::below(&self.memory)?;
        let child = Arc::new(Self::new(name.into(), Some(self.clone()), memory));
        child.memory.account().set_group(&child);
        let mut state = self.state.lock();
        if state.is_removed {
            return Err(Errno::ENODEV.into());
        }
        if state.children.contains_key(name) {
            return Err(Errno::EEXIST.into());
        }
        if state.subtree_control.contains(Controllers::CPU) {
            child.set_cpu_controlled(true);
        }
        state.children.insert(name.into(), child.clone());
        drop(state);
        // An empty group is at rest as soon as it is to be.
        child.update_frozen();
        Ok(child)
    }

    /// Takes the group `name` away.
    ///
    /// # Errors
    /// EBUSY if there are processes or groups in it; ENOENT.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        let _hierarchy = HIERARCHY.lock();
        let child = self.state.lock().children.get(name).cloned().ok_or(Errno::ENOENT)?;
        let (past, was_frozen) = {
            let mut state = child.state.lock();
            if !state.members.is_empty() || !state.children.is_empty() {
                return Err(Errno::EBUSY.into());
            }
            state.is_removed = true;
            (state.past, state.is_frozen)
        };
        let mut state = self.state.lock();
        state.children.remove(name);
        state.past += past;
        state.frozen_children -= usize::from(was_frozen);
        drop(state);
        self.update_frozen();
        Ok(())
    }

    /// Its name in the group above; empty for the root.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The group above; `None` for the root.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// This and all above, inside out.
    pub fn lineage(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    /// The nearest group that is this or above it, and `other` or above that.
    pub fn common_ancestor<'a>(&'a self, other: &'a Self) -> &'a Self {
        let (mut a, mut b) = (self, other);
        while !core::ptr::eq(a, b) {
            let deeper = if a.depth >= b.depth { &mut a } else { &mut b };
            *deeper = deeper.parent.as_deref().expect("all groups have the root in common");
        }
        a
    }

    /// Its path as seen from `from`, which is a slash.
    pub fn path_from(&self, from: &Self) -> Vec<u8> {
        let common = self.common_ancestor(from);
        let mut path = b"/..".repeat(from.depth - common.depth);
        let below: Vec<&Self> = self.lineage().take_while(|group| !core::ptr::eq(*group, common)).collect();
        for group in below.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(&group.name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        if self.is_removed() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }

    /// Whether it was removed.
    pub fn is_removed(&self) -> bool {
        self.state.lock().is_removed
    }

    /// Whether there is a living process in it or below.
    pub fn is_populated(&self) -> bool {
        let state = self.state.lock();
        !state.members.is_empty() || state.populated_children > 0
    }

    /// Names who shows it. Only the first call counts.
    pub fn set_face(&self, face: Weak<dyn Face>) {
        self.face.call_once(|| face);
    }

    /// How many groups there are below.
    pub fn descendants(&self) -> usize {
        let mut count = 0;
        let mut next = self.next_child(None);
        while let Some((name, child)) = next {
            count += 1 + child.descendants();
            next = self.next_child(Some(&name));
        }
        count
    }

    /// The limits on depth and number of groups below (`cgroup.max.depth`, `cgroup.max.descendants`).
    pub fn limits(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.max_depth, state.max_descendants)
    }

    /// Sets them.
    pub fn set_limits(&self, depth: Option<usize>, descendants: Option<usize>) {
        let mut state = self.state.lock();
        state.max_depth = depth.unwrap_or(state.max_depth);
        state.max_descendants = descendants.unwrap_or(state.max_descendants);
    }

    /// The first living process at or after id `from` that is in it.
    pub fn next_member(&self, from: u32) -> Option<(u32, Arc<Process>)> {
        let state = self.state.lock();
        state.members.range(from..).find_map(|(pid, process)| Some((*pid, process.upgrade()?)))
    }

    /// The child after that of the given name, in the order of names.
    pub(super) fn next_child(&self, after: Option<&[u8]>) -> Option<(Box<[u8]>, Arc<Self>)> {
        let state = self.state.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (name, child) = state.children.range::<[u8], _>((from, Bound::Unbounded)).next()?;
        Some((name.clone(), child.clone()))
    }

    /// Refuses a new child that would break a limit here or above. `HIERARCHY` is held.
    fn check_limits(&self) -> Result<()> {
        if self.depth + 1 > MAX_DEPTH {
            return Err(Error::with(Errno::EAGAIN, "groups are nested too deeply"));
        }
        for (above, group) in (1..).zip(self.lineage()) {
            let (max_depth, max_descendants) = group.limits();
            if above > max_depth || max_descendants != usize::MAX && group.descendants() >= max_descendants {
                return Err(Errno::EAGAIN.into());
            }
        }
        Ok(())
    }

    /// A process came or went: tells who watches, here and above, if that was the first or the last. `HIERARCHY` is held.
    pub(super) fn update_populated(&self, was_populated: bool) {
        let mut group = self;
        let mut was_populated = was_populated;
        while group.is_populated() != was_populated {
            group.tell_events();
            let Some(parent) = group.parent.as_deref() else { return };
            let parent_was_populated = parent.is_populated();
            let mut state = parent.state.lock();
            if was_populated {
                state.populated_children -= 1;
            } else {
                state.populated_children += 1;
            }
            drop(state);
            was_populated = parent_was_populated;
            group = parent;
        }
    }

    /// Tells that what `cgroup.events` says has changed.
    pub(super) fn tell_events(&self) {
        self.tell(&self.events, "cgroup.events");
    }

    /// Tells that what the file `name` says has changed.
    pub(super) fn tell(&self, bell: &Bell, name: &'static str) {
        bell.ring();
        if let Some(face) = self.face.get().and_then(Weak::upgrade) {
            face.changed(name);
        }
    }
}
