//! Control groups, version 2 (cgroups(7); the Linux documentation's "Control Group v2"): a tree of groups of processes, which can be counted, limited,
//! frozen and killed together. [`crate::fs::cgroupfs`] shows it.
//!
//! [`Cgroup`] is a group, [`Membership`] what a process knows of its own. Whatever concerns more than one group or process happens under
//! `HIERARCHY`; the state of each group has a lock of its own inside, taken for one look or change at a time. Locks, outside in:
//! `process::TREE`, `HIERARCHY`, a process's seat, a group's state.
//!
//! A controller is a bit in [`Controllers`], a file here, and rows in the table of files. What it counts it counts in all groups, so that
//! turning it on needs no look back.
//!
//! COMPAT: groups hold whole processes (`cgroup.type` is always `domain`), and are nested 64 deep at most.

mod controllers;
mod cpu;
mod cpu_share;
mod cpuset;
pub mod devices;
mod freezer;
mod group;
mod kill;
mod member;
mod memory;
mod namespace;
mod pids;

pub use controllers::Controllers;
pub use cpu_share::follow_new;
pub use freezer::{enter_frozen, park};
pub use group::{Bell, Cgroup, Face, root};
pub use member::{Membership, Reservation};
pub use memory::Memory;
pub use namespace::CgroupNamespace;
pub use pids::Pids;

use ostd::sync::SpinLock;

/// Held while groups, or who is in them, change.
static HIERARCHY: SpinLock<()> = SpinLock::new(());
