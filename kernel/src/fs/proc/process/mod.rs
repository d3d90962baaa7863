//! /proc/PID and /proc/PID/task/TID: a [`Subject`] and the files that tell of it.

mod entries;
mod fds;
mod id_maps;
mod links;
mod listing;
mod memory;
mod network;
mod settings;
mod stat;
mod status;
mod subject;
mod tables;

pub use listing::Processes;
pub use status::show_list;
pub use subject::Subject;

use crate::fs::synthetic::Directory;
use crate::fs::vfs::file_system::SuperBlock;
use crate::fs::vfs::inode::Inode;
use crate::process::Process;
use crate::process::namespace::pid::PidNamespace;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use ostd::sync::SpinLock;

/// One instance a pid namespace.
static INSTANCES: SpinLock<Vec<(Weak<PidNamespace>, Weak<SuperBlock>)>> = SpinLock::new(Vec::new());

/// The instance that shows `namespace`, if it is mounted.
pub fn instance_of(namespace: &Arc<PidNamespace>) -> Option<Arc<SuperBlock>> {
    let instances = INSTANCES.lock();
    let (_, super_block) = instances.iter().find(|(owner, _)| owner.as_ptr() == Arc::as_ptr(namespace))?;
    super_block.upgrade()
}

/// Makes an instance known.
pub fn add_instance(namespace: &Arc<PidNamespace>, super_block: &Arc<SuperBlock>) {
    let mut instances = INSTANCES.lock();
    instances.retain(|(_, super_block)| super_block.strong_count() > 0);
    instances.push((Arc::downgrade(namespace), Arc::downgrade(super_block)));
}

/// The process whose directory this is: what pidfd_send_signal(2) takes in the place of a pidfd.
pub fn process_of(directory: &Arc<dyn Inode>) -> Option<Arc<Process>> {
    let directory: &Directory = (&**directory as &dyn Any).downcast_ref()?;
    let entries::Entries(subject) = directory.listing()?;
    if subject.is_thread() { None } else { subject.process().ok() }
}

/// Drops the cached names of a process that is gone, which nobody will ever ask for again.
pub fn forget(process: &Process) {
    let instances: Vec<_> = INSTANCES.lock().iter().filter_map(upgrade_both).collect();
    for (namespace, super_block) in instances {
        let number = process.id().number_in(&namespace);
        let root = super_block.root();
        if number != 0
            && let Some(child) = root.cached_child(format!("{number}").as_bytes())
        {
            child.forget_tree();
            root.remove_child(&child);
        }
    }
}

fn upgrade_both(
    (namespace, super_block): &(Weak<PidNamespace>, Weak<SuperBlock>),
) -> Option<(Arc<PidNamespace>, Arc<SuperBlock>)> {
    Some((namespace.upgrade()?, super_block.upgrade()?))
}
