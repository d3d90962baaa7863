//! Which controllers there are, and what `cgroup.subtree_control` is told.

use super::{Cgroup, HIERARCHY};
use crate::error::{Errno, Result};
use bitflags::bitflags;

bitflags! {
    /// A set of controllers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Controllers: u32 {
        /// How many tasks there may be.
        const PIDS = 1;
        /// How much memory they may touch.
        const MEMORY = 1 << 1;
        /// How the CPUs are divided.
        const CPU = 1 << 2;
        /// Which CPUs they may run on.
        const CPUSET = 1 << 3;
    }
}

/// Names as the files have them.
const NAMES: &[(&str, Controllers)] = &[
    ("cpuset", Controllers::CPUSET),
    ("cpu", Controllers::CPU),
    ("memory", Controllers::MEMORY),
    ("pids", Controllers::PIDS),
];
/// Those that divide between groups what processes of the parent would compete for: they keep these out of it.
const DOMAIN: Controllers = Controllers::MEMORY;

impl Controllers {
    /// The names of those in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, controller)| self.contains(*controller)).map(|(name, _)| *name)
    }
}

impl Cgroup {
    /// What can be given to its children (`cgroup.controllers`).
    pub fn controllers(&self) -> Controllers {
        self.parent().map_or(Controllers::all(), |parent| parent.subtree_control())
    }

    /// What is given to its children.
    pub fn subtree_control(&self) -> Controllers {
        self.state.lock().subtree_control
    }

    /// Turns controllers of the children on and off: `+pids -memory`.
    ///
    /// # Errors
    /// EINVAL for what is no such list, ENOENT for a controller that it does not have, EBUSY if a child still gives it on or own processes are in the
    /// way, ENODEV if the group was removed.
    pub fn set_subtree_control(&self, list: &str) -> Result<()> {
        let (mut on, mut off) = (Controllers::empty(), Controllers::empty());
        for word in list.split_ascii_whitespace() {
            let (sign, name) = word.split_at_checked(1).ok_or(Errno::EINVAL)?;
            let (_, controller) = NAMES.iter().find(|(known, _)| *known == name).ok_or(Errno::EINVAL)?;
            let (set, other) = match sign {
                "+" => (&mut on, &mut off),
                "-" => (&mut off, &mut on),
                _ => return Err(Errno::EINVAL.into()),
            };
            set.insert(*controller);
            other.remove(*controller);
        }
        let _hierarchy = HIERARCHY.lock();
        if !self.controllers().contains(on) {
            return Err(Errno::ENOENT.into());
        }
        let mut state = self.state.lock();
        if state.is_removed {
            return Err(Errno::ENODEV.into());
        }
        let on = on.difference(state.subtree_control);
        let off = off.intersection(state.subtree_control);
        if state.children.values().any(|child| child.state.lock().subtree_control.intersects(off)) {
            return Err(Errno::EBUSY.into());
        }
        let takes_turns = on.intersects(DOMAIN) || state.populated_children > 0;
        if !on.is_empty() && self.parent().is_some() && takes_turns && !state.members.is_empty() {
            return Err(Errno::EBUSY.into());
        }
        state.subtree_control = state.subtree_control.union(on).difference(off);
        // A controller that is turned off forgets its settings.
        if on.union(off).contains(Controllers::CPU) {
            let is_on = on.contains(Controllers::CPU);
            state.children.values().for_each(|child| child.set_cpu_controlled(is_on));
        }
        if off.contains(Controllers::CPUSET) {
            state.children.values().for_each(|child| child.apply_cpus(0));
        }
        if off.contains(Controllers::MEMORY) {
            state.children.values().for_each(|child| child.memory.forget_settings());
        }
        if off.contains(Controllers::PIDS) {
            state.children.values().for_each(|child| child.pids.set_max(None));
        }
        Ok(())
    }

    /// EBUSY if processes must not be put here, since its children compete for what a controller divides. `HIERARCHY` is held.
    pub(super) fn check_may_host(&self) -> Result<()> {
        let state = self.state.lock();
        if state.is_removed {
            return Err(Errno::ENODEV.into());
        }
        let competes = state.subtree_control.intersects(DOMAIN) || state.populated_children > 0;
        if self.parent().is_some() && !state.subtree_control.is_empty() && competes {
            return Err(Errno::EBUSY.into());
        }
        Ok(())
    }
}
