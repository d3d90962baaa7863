//! cgroup2: control groups as directories, what they say and are told as files (cgroups(7)). What it shows is [`crate::cgroup`].
//!
//! A [`Directory`] stands for a group as long as that is there; all mounts see the same ones. A mount shows the tree from the root of the
//! cgroup namespace that it was made in.

mod cpu;
mod cpuset;
mod directory;
mod file;
mod memory;
mod table;

use super::open_file::OpenFile;
use super::vfs::file_system::{self, FileSystem, MountRequest, SuperBlock, SuperBlockOps};
use super::vfs::permission;
use crate::cgroup::{Cgroup, CgroupNamespace};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::process::credentials::Credentials;
use crate::syscall::Fd;
use crate::thread::Thread;
use alloc::sync::Arc;
use directory::Directory;

/// CGROUP2_SUPER_MAGIC (statfs(2)).
const MAGIC: u32 = 0x6367_7270;

/// Options that Linux takes and that change nothing here: there are no delegates to restrict, nothing that memory.low could protect
/// from, and events of memory are always told above as well.
const IGNORED: [&[u8]; 4] = [b"nsdelegate", b"favordynmods", b"memory_localevents", b"memory_recursiveprot"];

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
        "cgroup2"
    }

    fn is_for_all(&self) -> bool {
        true
    }

    fn mount(&self, request: &MountRequest<'_>) -> Result<Arc<SuperBlock>> {
        if request.options().any(|(key, value)| value.is_some() || !IGNORED.contains(&key)) {
            return Err(Error::with(Errno::EINVAL, "no such option"));
        }
        let namespaces = Thread::current().and_then(|thread| thread.namespaces().ok());
        let namespace =
            namespaces.map_or_else(|| CgroupNamespace::initial().clone(), |all| all.cgroup.clone());
        Directory::of(namespace.root())?.super_block(|directory| {
            SuperBlock::new("cgroup2", MAGIC, directory.device(), directory.clone(), Arc::new(Ops))
        })
    }
}

/// The group that `fd` names, for CLONE_INTO_CGROUP.
///
/// # Errors
/// EBADF for what is no directory of a group, EACCES if the caller may not put processes there.
pub fn target_of_clone(context: &Context<'_>, fd: u64) -> Result<Arc<Cgroup>> {
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let target = group_of(&*context.process.fds().get(Fd(fd))?)?;
    check_may_move(&context.process.cgroup.get(), &target, &context.process.credentials(), true)?;
    Ok(target)
}

/// The group whose directory an open file is.
///
/// # Errors
/// EBADF for what is none.
pub fn group_of(file: &OpenFile) -> Result<Arc<Cgroup>> {
    let inode: &dyn core::any::Any = &**file.inode()?;
    inode.downcast_ref::<Directory>().ok_or(Errno::EBADF)?.cgroup()
}

/// Whether who has `credentials` may move processes from `source` to `target`: `cgroup.procs` of the group above both must be theirs to write (Linux's
/// documentation, "Delegation Containment"), and with `check_target` that of the target, which was not opened for it.
///
/// # Errors
/// EACCES.
fn check_may_move(
    source: &Cgroup,
    target: &Cgroup,
    credentials: &Credentials,
    check_target: bool,
) -> Result<()> {
    let common = Directory::of(source.common_ancestor(target))?;
    permission::check_access(&common.procs_access(), credentials, permission::WRITE)?;
    if check_target {
        permission::check_access(&Directory::of(target)?.procs_access(), credentials, permission::WRITE)?;
    }
    Ok(())
}
