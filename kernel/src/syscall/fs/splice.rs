//! splice(2), tee(2), vmsplice(2): <https://man7.org/linux/man-pages/man2/splice.2.html>

use super::read_write::{readable, signal_broken_pipe, writable};
use super::vectored;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::O_APPEND;
use crate::fs::pipe::{self, splice};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::fs::iovec;

const SPLICE_F_MOVE: u32 = 1;
const SPLICE_F_NONBLOCK: u32 = 2;
const SPLICE_F_MORE: u32 = 4;
const SPLICE_F_GIFT: u32 = 8;
const KNOWN: u32 = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

/// splice(2).
pub fn sys_splice(
    input: Fd,
    input_offset: UserPtr<i64>,
    output: Fd,
    output_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (input, output) = (readable(input, context)?, writable(output, context)?);
    let (is_from_pipe, is_to_pipe) = (pipe::of(&input).is_some(), pipe::of(&output).is_some());
    if is_from_pipe && !input_offset.is_null() || is_to_pipe && !output_offset.is_null() {
        return Err(Errno::ESPIPE.into());
    }
    if len == 0 {
        return Ok(0);
    }
    let offset = |at: UserPtr<i64>| -> Result<Option<u64>> {
        match at.non_null() {
            Some(at) => Ok(Some(u64::try_from(at.read()?).map_err(|_| Errno::EINVAL)?)),
            None => Ok(None),
        }
    };
    let (from, to) = (offset(input_offset)?, offset(output_offset)?);
    let moved = if is_from_pipe {
        let is_same = is_to_pipe && Arc::ptr_eq(input.inode()?, output.inode()?);
        if is_same || output.flags() & O_APPEND != 0 {
            return Err(Errno::EINVAL.into());
        }
        splice::from_pipe(&input, &output, to, len, may_wait(&input, flags))
    } else if is_to_pipe {
        splice::to_pipe(&input, from, &output, len, may_wait(&output, flags))
    } else {
        return Err(Errno::EINVAL.into());
    };
    let moved = signal_broken_pipe(moved, context)?;
    for (at, start) in [(input_offset, from), (output_offset, to)] {
        if let Some(start) = start {
            at.write(&((start + moved as u64) as i64))?;
        }
    }
    Ok(moved)
}

/// tee(2).
pub fn sys_tee(input: Fd, output: Fd, len: usize, flags: u32, context: &mut Context<'_>) -> Result<usize> {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (input, output) = (readable(input, context)?, writable(output, context)?);
    if len == 0 {
        return Ok(0);
    }
    let can_wait = may_wait(&input, flags) && may_wait(&output, flags);
    signal_broken_pipe(splice::duplicate(&input, &output, len, can_wait), context)
}

/// vmsplice(2): as writev(2) into a pipe's writing end and readv(2) from its reading end. SPLICE_F_GIFT only promises something.
pub fn sys_vmsplice(
    fd: Fd,
    vector: UserPtr<iovec>,
    count: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get_io(fd)?;
    if pipe::of(&file).is_none() {
        return Err(Errno::EBADF.into());
    }
    if file.is_writable() {
        vectored::sys_writev(fd, vector, count, context)
    } else {
        vectored::sys_readv(fd, vector, count, context)
    }
}

fn may_wait(file: &OpenFile, flags: u32) -> bool {
    flags & SPLICE_F_NONBLOCK == 0 && !file.is_nonblocking()
}
