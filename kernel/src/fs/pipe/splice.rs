//! Moving bytes between a pipe and something else within the kernel (splice(2), tee(2)).
//!
//! COMPAT: the bytes are copied, not the pages passed on: nobody can tell the difference but by the clock.

use super::{Pipe, of};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::thread::wait;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};

/// The most bytes that one call moves.
const STEP_MAX: usize = 64 * 1024;

/// Moves up to `len` bytes from `input` (at `offset`, or at its position) to the pipe `output`.
///
/// # Errors
/// EINVAL if `output` is no pipe; as reading and writing.
pub fn to_pipe(
    input: &Arc<OpenFile>,
    offset: Option<u64>,
    output: &Arc<OpenFile>,
    len: usize,
    may_wait: bool,
) -> Result<usize> {
    let pipe = of(output).ok_or(Error::new(Errno::EINVAL))?;
    let room = wait_for_room(pipe, may_wait)?;
    let mut buffer = buffer(len.min(room))?;
    let mut writer = VmWriter::from_slice(&mut buffer);
    let read = match offset {
        Some(offset) => input.ops().read_at(input, offset, &mut writer)?,
        None => input.ops().read(input, &mut writer)?,
    };
    output.ops().write(output, &mut VmReader::from_slice(&buffer[..read]))
}

/// Moves up to `len` bytes from the pipe `input` to `output` (at `offset`, or at its position).
///
/// # Errors
/// EINVAL if `input` is no pipe; as reading and writing.
pub fn from_pipe(
    input: &Arc<OpenFile>,
    output: &Arc<OpenFile>,
    offset: Option<u64>,
    len: usize,
    may_wait: bool,
) -> Result<usize> {
    let pipe = of(input).ok_or(Error::new(Errno::EINVAL))?;
    if !wait_for_bytes(pipe, may_wait)? {
        return Ok(0);
    }
    let mut buffer = buffer(len)?;
    let read = pipe.take(&mut VmWriter::from_slice(&mut buffer))?;
    let mut reader = VmReader::from_slice(&buffer[..read]);
    let result = match offset {
        Some(offset) => output.ops().write_at(output, offset, &mut reader),
        None => output.ops().write(output, &mut reader),
    };
    let written = *result.as_ref().unwrap_or(&0);
    if written < read {
        pipe.put_back(&buffer[written..read])?;
    }
    result
}

/// Copies up to `len` bytes from one pipe to another without taking them out.
///
/// # Errors
/// EINVAL unless they are two pipes.
pub fn duplicate(input: &Arc<OpenFile>, output: &Arc<OpenFile>, len: usize, may_wait: bool) -> Result<usize> {
    let (Some(from), Some(to)) = (of(input), of(output)) else { return Err(Errno::EINVAL.into()) };
    if Arc::ptr_eq(from, to) {
        return Err(Errno::EINVAL.into());
    }
    if !wait_for_bytes(from, may_wait)? {
        return Ok(0);
    }
    let room = wait_for_room(to, may_wait)?;
    let mut buffer = buffer(len.min(room))?;
    let copied = from.ring.lock().peek(&mut buffer);
    output.ops().write(output, &mut VmReader::from_slice(&buffer[..copied]))
}

/// `false` at the end: nothing is there and nobody writes.
fn wait_for_bytes(pipe: &Pipe, may_wait: bool) -> Result<bool> {
    let has_end = || pipe.has_bytes() || pipe.writers() == 0;
    if !has_end() {
        if !may_wait {
            return Err(Errno::EAGAIN.into());
        }
        wait::wait_until(&pipe.readable, None, || has_end().then_some(()))?;
    }
    Ok(pipe.has_bytes())
}

/// How many bytes fit, at least one page.
fn wait_for_room(pipe: &Pipe, may_wait: bool) -> Result<usize> {
    let can_go_on = || pipe.has_room() || pipe.readers() == 0;
    if !can_go_on() {
        if !may_wait {
            return Err(Errno::EAGAIN.into());
        }
        wait::wait_until(&pipe.writable, None, || can_go_on().then_some(()))?;
    }
    if pipe.readers() == 0 {
        return Err(Errno::EPIPE.into());
    }
    Ok(pipe.free_slots().max(1) * PAGE_SIZE)
}

fn buffer(len: usize) -> Result<Vec<u8>> {
    let len = len.min(STEP_MAX);
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOMEM))?;
    buffer.resize(len, 0);
    Ok(buffer)
}
