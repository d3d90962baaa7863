//! sync(2), syncfs(2), fsync(2), fdatasync(2), sync_file_range(2).

use crate::context::Context;
use crate::device::registry;
use crate::error::{Errno, Result};
use crate::syscall::Fd;

/// sync(2).
pub fn sys_sync(context: &mut Context<'_>) -> Result<()> {
    // The call cannot fail; what could not be written says so in the log.
    let report = |result: Result<()>| {
        if let Err(error) = result {
            log::warn!("sync: {error:?}");
        }
    };
    if let Some(namespace) = context.thread.place().root().mount.namespace() {
        for mount in namespace.mounts() {
            report(mount.super_block().ops().sync());
        }
    }
    for (_, _, disk) in registry::blocks() {
        if !disk.disk().is_read_only() {
            report(disk.sync());
        }
    }
    Ok(())
}

/// syncfs(2).
pub fn sys_syncfs(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    file.path().mount.super_block().ops().sync()
}

/// fsync(2).
pub fn sys_fsync(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    file.ops().sync(&file)
}

/// fdatasync(2).
pub fn sys_fdatasync(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    sys_fsync(fd, context)
}

/// sync_file_range(2).
pub fn sys_sync_file_range(
    fd: Fd,
    offset: i64,
    len: i64,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    if offset < 0 || len < 0 || flags & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    sys_fsync(fd, context)
}
