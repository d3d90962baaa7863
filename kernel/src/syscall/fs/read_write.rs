//! read(2), write(2), pread64(2), pwrite64(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::signal::{SigInfo, Signal, send};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::signal::SI_USER;
use ostd::mm::{VmReader, VmWriter};

/// The most that one call moves (read(2), NOTES).
pub const RW_MAX: usize = 0x7fff_f000;

/// read(2).
pub fn sys_read(fd: Fd, buffer: UserPtr<u8>, len: usize, context: &mut Context<'_>) -> Result<usize> {
    let file = readable(fd, context)?;
    file.ops().read(&file, &mut writer(buffer, len)?)
}

/// write(2).
pub fn sys_write(fd: Fd, buffer: UserPtr<u8>, len: usize, context: &mut Context<'_>) -> Result<usize> {
    let file = writable(fd, context)?;
    let result = file.ops().write(&file, &mut reader(buffer, len)?);
    signal_broken_pipe(result, context)
}

/// pread64(2).
pub fn sys_pread64(
    fd: Fd,
    buffer: UserPtr<u8>,
    len: usize,
    offset: i64,
    context: &mut Context<'_>,
) -> Result<usize> {
    let offset = position(offset, len)?;
    let file = readable(fd, context)?;
    file.ops().read_at(&file, offset, &mut writer(buffer, len)?)
}

/// pwrite64(2).
pub fn sys_pwrite64(
    fd: Fd,
    buffer: UserPtr<u8>,
    len: usize,
    offset: i64,
    context: &mut Context<'_>,
) -> Result<usize> {
    let offset = position(offset, len)?;
    let file = writable(fd, context)?;
    file.ops().write_at(&file, offset, &mut reader(buffer, len)?)
}

/// The open file, if it may be read: EBADF.
pub fn readable(fd: Fd, context: &Context<'_>) -> Result<Arc<OpenFile>> {
    let file = context.process.fds().get(fd)?;
    if file.is_readable() { Ok(file) } else { Err(Errno::EBADF.into()) }
}

/// The open file, if it may be written: EBADF.
pub fn writable(fd: Fd, context: &Context<'_>) -> Result<Arc<OpenFile>> {
    let file = context.process.fds().get(fd)?;
    if file.is_writable() { Ok(file) } else { Err(Errno::EBADF.into()) }
}

/// EPIPE brings SIGPIPE along.
pub fn signal_broken_pipe<T>(result: Result<T>, context: &Context<'_>) -> Result<T> {
    if let Err(error) = &result
        && error.errno() == Errno::EPIPE
    {
        let info = SigInfo::from_process(Signal::PIPE, SI_USER, context.process);
        send::to_thread(context.thread, info)?;
    }
    result
}

fn writer(buffer: UserPtr<u8>, len: usize) -> Result<VmWriter<'static>> {
    check_len(len)?;
    let mut writer = buffer.writer(len)?;
    writer.limit(RW_MAX);
    Ok(writer)
}

fn reader(buffer: UserPtr<u8>, len: usize) -> Result<VmReader<'static>> {
    check_len(len)?;
    let mut reader = buffer.reader(len)?;
    reader.limit(RW_MAX);
    Ok(reader)
}

/// EINVAL for a negative offset, and for a range that ends past the largest one.
fn position(offset: i64, len: usize) -> Result<u64> {
    i64::try_from(len).ok().and_then(|len| offset.checked_add(len)).ok_or(Errno::EINVAL)?;
    u64::try_from(offset).map_err(|_| Errno::EINVAL.into())
}

/// EINVAL for lengths that are negative as `ssize_t`.
fn check_len(len: usize) -> Result<()> {
    if len > isize::MAX as usize { Err(Errno::EINVAL.into()) } else { Ok(()) }
}
