//! sendfile(2), copy_file_range(2): copies inside of the kernel, through one buffer.

use super::read_write::{RW_MAX, readable, signal_broken_pipe, writable};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::{OpenFile, flags};
use crate::fs::vfs::inode::FileType;
use crate::syscall::{Fd, UserPtr};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::{VmReader, VmWriter};

/// How much is copied at a time.
const CHUNK: usize = 64 * 1024;

/// sendfile(2).
pub fn sys_sendfile(
    out_fd: Fd,
    in_fd: Fd,
    offset: UserPtr<i64>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    let source = readable(in_fd, context)?;
    let target = writable(out_fd, context)?;
    if target.flags() & flags::O_APPEND != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut from = start_of(&source, offset)?;
    let copied = copy(&source, &mut from, &target, &mut None, len);
    finish(&source, offset, from)?;
    signal_broken_pipe(copied, context)
}

/// copy_file_range(2).
pub fn sys_copy_file_range(
    in_fd: Fd,
    in_offset: UserPtr<i64>,
    out_fd: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    how: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    if how != 0 {
        return Err(Errno::EINVAL.into());
    }
    let source = readable(in_fd, context)?;
    let target = writable(out_fd, context)?;
    if target.flags() & flags::O_APPEND != 0 {
        return Err(Errno::EBADF.into());
    }
    for file in [&source, &target] {
        match file.inode()?.access().file_type {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR.into()),
            _ => return Err(Errno::EINVAL.into()),
        }
    }
    let mut from = start_of(&source, in_offset)?;
    let to = start_of(&target, out_offset)?;
    let is_same = Arc::ptr_eq(source.inode()?, target.inode()?);
    let len = len.min(RW_MAX);
    if is_same && from < to.saturating_add(len as u64) && to < from.saturating_add(len as u64) {
        return Err(Errno::EINVAL.into());
    }
    let mut to = Some(to);
    let copied = copy(&source, &mut from, &target, &mut to, len);
    finish(&source, in_offset, from)?;
    finish(&target, out_offset, to.unwrap_or_default())?;
    copied
}

/// Where a copy starts: the offset given, or the file's position.
fn start_of(file: &Arc<OpenFile>, offset: UserPtr<i64>) -> Result<u64> {
    match offset.non_null() {
        Some(offset) => u64::try_from(offset.read()?).map_err(|_| Errno::EINVAL.into()),
        None => Ok(*file.position().lock()),
    }
}

/// Tells the caller, or the file, how far the copy came.
fn finish(file: &Arc<OpenFile>, offset: UserPtr<i64>, at: u64) -> Result<()> {
    match offset.non_null() {
        Some(offset) => offset.write(&(at as i64)),
        None => {
            *file.position().lock() = at;
            Ok(())
        }
    }
}

/// Copies up to `len` bytes; without `to` at the target's own position.
fn copy(
    source: &Arc<OpenFile>,
    from: &mut u64,
    target: &Arc<OpenFile>,
    to: &mut Option<u64>,
    len: usize,
) -> Result<usize> {
    let len = len.min(RW_MAX);
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(CHUNK.min(len)).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(CHUNK.min(len), 0u8);
    let mut done = 0;
    while done < len {
        let want = buffer.len().min(len - done);
        let step = source.ops().read_at(source, *from, &mut VmWriter::from_slice(&mut buffer[..want]));
        let read = match step {
            Ok(0) => break,
            Ok(read) => read,
            // A stream has no offsets to read at: not a file that can be sent.
            Err(error) if error.errno() == Errno::ESPIPE && done == 0 => return Err(Errno::EINVAL.into()),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        let mut reader = VmReader::from_slice(&buffer[..read]);
        let step = match to {
            Some(to) => target.ops().write_at(target, *to, &mut reader),
            None => target.ops().write(target, &mut reader),
        };
        let written = match step {
            Ok(written) => written,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        done += written;
        *from += written as u64;
        if let Some(to) = to {
            *to += written as u64;
        }
        // A source without an end must not outlive its reader.
        if written < read || Thread::current().is_some_and(|thread| thread.has_pending_signal()) {
            break;
        }
    }
    Ok(done)
}
