//! procfs (proc(5)): processes and the machine as files. Each mount shows one pid namespace: that of whoever mounted it.
//!
//! [`process`] is what /proc/PID holds, [`sys`] what /proc/sys does; the rest is about the machine.

mod cpu;
mod memory;
mod network;
mod process;
mod registry;
mod sys;

pub use process::{forget, process_of, show_list};

use super::synthetic::{Directory, Target, Volume};
use super::vfs::file_system::{self, FileSystem, MountRequest, SuperBlock, SuperBlockOps, allocate_device};
use super::vfs::inode::FileType;
use crate::error::{Errno, Result};
use crate::process::namespace::leave;
use crate::process::namespace::pid::PidNamespace;
use crate::thread::Thread;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use process::Processes;

/// Magic of procfs (statfs(2)).
const PROC_SUPER_MAGIC: u32 = 0x9fa0;
/// The root directory's inode number.
const ROOT_INODE: u64 = 1;

#[derive(Debug)]
struct Driver;

#[derive(Debug)]
struct Ops;

/// Registers the file system.
pub fn register() {
    file_system::register(&Driver);
}

impl SuperBlockOps for Ops {}

impl FileSystem for Driver {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn shows_the_machine(&self) -> bool {
        true
    }

    fn mount(&self, _request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        let namespace = match Thread::current() {
            Some(thread) => thread.process().pid_namespace().clone(),
            None => PidNamespace::initial().clone(),
        };
        if let Some(known) = process::instance_of(&namespace) {
            return Ok(known);
        }
        let volume = Arc::new(Volume::new(allocate_device()));
        let root = build(&volume, &namespace);
        let device = volume.device();
        let super_block = SuperBlock::new("proc", PROC_SUPER_MAGIC, device, root, Arc::new(Ops));
        process::add_instance(&namespace, &super_block);
        Ok(super_block)
    }
}

/// The top of the tree.
fn build(volume: &Arc<Volume>, namespace: &Arc<PidNamespace>) -> Arc<Directory> {
    let face = volume.face(ROOT_INODE, FileType::Directory, 0o555);
    let root = Directory::with_listing(volume, face, Processes::new(volume, namespace));
    root.link("self", OwnPid { namespace: namespace.clone() });
    root.link("thread-self", OwnTid { namespace: namespace.clone() });
    root.link("mounts", "self/mounts");
    root.link("net", "self/net");
    root.text("cmdline", registry::show_cmdline);
    root.text("cpuinfo", cpu::show_cpuinfo);
    root.text("devices", registry::show_devices);
    root.text("filesystems", registry::show_filesystems);
    root.text("interrupts", cpu::show_interrupts);
    root.text("loadavg", cpu::show_loadavg);
    root.text("meminfo", memory::show_meminfo);
    root.text("partitions", registry::show_partitions);
    root.text("stat", cpu::show_stat);
    root.text("swaps", memory::show_swaps);
    root.text("uptime", cpu::show_uptime);
    root.text("version", registry::show_version);
    root.text("vmstat", memory::show_vmstat);
    let coffer = root.subdirectory("coffer");
    coffer.text("memory", memory::show_counters);
    coffer.setting("leave", leave::show, leave::store);
    sys::fill(&root.subdirectory("sys"));
    root
}

/// /proc/self.
#[derive(Debug)]
struct OwnPid {
    namespace: Arc<PidNamespace>,
}

/// /proc/thread-self.
#[derive(Debug)]
struct OwnTid {
    namespace: Arc<PidNamespace>,
}

/// The reader's own process and thread ids in `namespace`; ENOENT where it cannot be seen.
fn own_ids(namespace: &Arc<PidNamespace>) -> Result<(u32, u32)> {
    let thread = Thread::current().ok_or(Errno::ENOENT)?;
    match thread.process().id().number_in(namespace) {
        0 => Err(Errno::ENOENT.into()),
        pid => Ok((pid, thread.tid_in(namespace))),
    }
}

impl Target for OwnPid {
    fn name(&self) -> Result<Vec<u8>> {
        let (pid, _): (u32, u32) = own_ids(&self.namespace)?;
        Ok(String::into_bytes(format!("{pid}")))
    }
}

impl Target for OwnTid {
    fn name(&self) -> Result<Vec<u8>> {
        let (pid, tid) = own_ids(&self.namespace)?;
        Ok(format!("{pid}/task/{tid}").into_bytes())
    }
}
