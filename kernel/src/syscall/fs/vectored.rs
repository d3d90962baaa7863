//! readv(2), writev(2), preadv(2), pwritev(2), preadv2(2), pwritev2(2).
//!
//! Up to [`BOUNCE_MAX`] bytes go through one buffer, as one operation: a pipe, a socket or another writer must not see the pieces. Longer
//! ones go piece by piece.

use super::read_write::{RW_MAX, readable, signal_broken_pipe, writable};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::{OpenFile, flags};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::fs::iovec;
use ostd::mm::{VmReader, VmWriter};

const IOV_MAX: usize = 1024;
const BOUNCE_MAX: usize = 64 * 1024;

const RWF_HIPRI: u32 = 1;
const RWF_DSYNC: u32 = 2;
const RWF_SYNC: u32 = 4;
const RWF_NOWAIT: u32 = 8;
const RWF_APPEND: u32 = 16;

/// readv(2).
pub fn sys_readv(fd: Fd, vector: UserPtr<iovec>, count: usize, context: &mut Context<'_>) -> Result<usize> {
    let file = readable(fd, context)?;
    read(&file, &pieces(vector, count)?, None)
}

/// writev(2).
pub fn sys_writev(fd: Fd, vector: UserPtr<iovec>, count: usize, context: &mut Context<'_>) -> Result<usize> {
    let file = writable(fd, context)?;
    signal_broken_pipe(write(&file, &pieces(vector, count)?, None), context)
}

/// preadv(2). The high half of the offset is for 32-bit machines.
pub fn sys_preadv(
    fd: Fd,
    vector: UserPtr<iovec>,
    count: usize,
    offset: i64,
    context: &mut Context<'_>,
) -> Result<usize> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = readable(fd, context)?;
    read(&file, &pieces(vector, count)?, Some(offset))
}

/// pwritev(2).
pub fn sys_pwritev(
    fd: Fd,
    vector: UserPtr<iovec>,
    count: usize,
    offset: i64,
    context: &mut Context<'_>,
) -> Result<usize> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = writable(fd, context)?;
    write(&file, &pieces(vector, count)?, Some(offset))
}

/// preadv2(2).
pub fn sys_preadv2(
    fd: Fd,
    vector: UserPtr<iovec>,
    count: usize,
    offset: i64,
    _high: u64,
    how: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = readable(fd, context)?;
    read_how(&file, &pieces(vector, count)?, position(offset)?, how)
}

/// pwritev2(2).
pub fn sys_pwritev2(
    fd: Fd,
    vector: UserPtr<iovec>,
    count: usize,
    offset: i64,
    _high: u64,
    how: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = writable(fd, context)?;
    signal_broken_pipe(write_how(&file, &pieces(vector, count)?, position(offset)?, how), context)
}

/// Reads into `pieces` as the `RWF_*` of `how` say, at `offset` or at the file's position.
///
/// # Errors
/// As preadv2(2).
pub fn read_how(
    file: &Arc<OpenFile>,
    pieces: &[(usize, usize)],
    offset: Option<u64>,
    how: u32,
) -> Result<usize> {
    if how & !(RWF_HIPRI | RWF_NOWAIT) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    read(file, pieces, offset)
}

/// Writes `pieces`, likewise.
///
/// # Errors
/// As pwritev2(2).
pub fn write_how(
    file: &Arc<OpenFile>,
    pieces: &[(usize, usize)],
    mut offset: Option<u64>,
    how: u32,
) -> Result<usize> {
    if how & !(RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC | RWF_APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if how & RWF_APPEND != 0 && file.flags() & flags::O_APPEND == 0 {
        offset = Some(file.inode()?.size());
    }
    let written = write(file, pieces, offset)?;
    if how & (RWF_DSYNC | RWF_SYNC) != 0 {
        file.ops().sync(file)?;
    }
    Ok(written)
}

/// -1 means the file's own position.
fn position(offset: i64) -> Result<Option<u64>> {
    match offset {
        -1 => Ok(None),
        offset => Ok(Some(u64::try_from(offset).map_err(|_| Errno::EINVAL)?)),
    }
}

/// The buffers, checked: (address, length), together at most [`RW_MAX`].
pub fn pieces(vector: UserPtr<iovec>, count: usize) -> Result<Vec<(usize, usize)>> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL.into());
    }
    let mut total = 0usize;
    let mut pieces = Vec::with_capacity(count);
    for piece in vector.read_array(count)? {
        if piece.iov_len > isize::MAX as u64 {
            return Err(Errno::EINVAL.into());
        }
        let len = (piece.iov_len as usize).min(RW_MAX - total);
        VmReader::from_user(piece.iov_base as usize, piece.iov_len as usize)?;
        total += len;
        pieces.push((piece.iov_base as usize, len));
    }
    Ok(pieces)
}

fn read(file: &Arc<OpenFile>, pieces: &[(usize, usize)], offset: Option<u64>) -> Result<usize> {
    let read_once = |writer: &mut VmWriter<'_>, done: usize| match offset {
        None => file.ops().read(file, writer),
        Some(offset) => file.ops().read_at(file, offset + done as u64, writer),
    };
    if let [(address, len)] = pieces {
        return read_once(&mut VmWriter::from_user(*address, *len)?, 0);
    }
    let total: usize = pieces.iter().map(|(_, len)| len).sum();
    if total <= BOUNCE_MAX || offset.is_none() && !is_regular(file) {
        let mut buffer = buffer(total.min(BOUNCE_MAX))?;
        let len = read_once(&mut VmWriter::from_slice(&mut buffer), 0)?;
        return scatter(&buffer[..len], pieces);
    }
    piece_by_piece(pieces, |address, len, done| read_once(&mut VmWriter::from_user(address, len)?, done))
}

fn write(file: &Arc<OpenFile>, pieces: &[(usize, usize)], offset: Option<u64>) -> Result<usize> {
    let write_once = |reader: &mut VmReader<'_>, done: usize| match offset {
        None => file.ops().write(file, reader),
        Some(offset) => file.ops().write_at(file, offset + done as u64, reader),
    };
    if let [(address, len)] = pieces {
        return write_once(&mut VmReader::from_user(*address, *len)?, 0);
    }
    let total: usize = pieces.iter().map(|(_, len)| len).sum();
    if total <= BOUNCE_MAX {
        let mut buffer = buffer(total)?;
        let len = gather(&mut buffer, pieces)?;
        return write_once(&mut VmReader::from_slice(&buffer[..len]), 0);
    }
    piece_by_piece(pieces, |address, len, done| write_once(&mut VmReader::from_user(address, len)?, done))
}

fn piece_by_piece(
    pieces: &[(usize, usize)],
    mut step: impl FnMut(usize, usize, usize) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0;
    for &(address, len) in pieces.iter().filter(|(_, len)| *len > 0) {
        match step(address, len, done) {
            Ok(moved) => {
                done += moved;
                if moved < len {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn scatter(bytes: &[u8], pieces: &[(usize, usize)]) -> Result<usize> {
    let mut rest = bytes;
    for &(address, len) in pieces {
        let (now, later) = rest.split_at(len.min(rest.len()));
        if !now.is_empty() {
            VmWriter::from_user(address, now.len())?.write_all(now)?;
        }
        rest = later;
    }
    Ok(bytes.len())
}

/// Copies the pieces together, up to the first byte that cannot be read; EFAULT if that is the very first.
fn gather(buffer: &mut [u8], pieces: &[(usize, usize)]) -> Result<usize> {
    let mut done = 0;
    for &(address, len) in pieces.iter().filter(|(_, len)| *len > 0) {
        match VmReader::from_user(address, len)?.read(&mut buffer[done..done + len]) {
            Ok(read) => {
                done += read;
                if read < len {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn buffer(len: usize) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(len, 0);
    Ok(buffer)
}

fn is_regular(file: &OpenFile) -> bool {
    file.downcast::<crate::fs::vfs::inode_file::InodeFile>().is_some()
}
