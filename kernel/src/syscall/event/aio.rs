//! io_setup(2), io_submit(2), io_getevents(2) and their family: <https://man7.org/linux/man-pages/man2/io_submit.2.html>

use super::{mask, timeout};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::aio::AioContext;
use crate::event::eventfd;
use crate::fs::open_file::OpenFile;
use crate::mm::{AddressSpace, Limits, MapRequest, Place};
use crate::syscall::fs::read_write::{RW_MAX, readable, signal_broken_pipe, writable};
use crate::syscall::fs::vectored::{pieces, read_how, write_how};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::aio::{
    IOCB_CMD_FDSYNC, IOCB_CMD_FSYNC, IOCB_CMD_PREAD, IOCB_CMD_PREADV, IOCB_CMD_PWRITE, IOCB_CMD_PWRITEV,
    IOCB_FLAG_IOPRIO, IOCB_FLAG_RESFD, io_event, iocb,
};
use coffer_abi_types::time::timespec;
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};

/// The argument of io_pgetevents(2): where a signal mask is, and its size.
#[derive(
    Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
)]
#[repr(C)]
pub struct SignalMask {
    address: u64,
    size: u64,
}

/// io_setup(2). The context is a page of its own, all zeros: the C library looks there for a ring of events, and asks the kernel where it finds none.
pub fn sys_io_setup(room: u32, out: UserPtr<u64>, context: &mut Context<'_>) -> Result<()> {
    if out.read()? != 0 || room == 0 {
        return Err(Errno::EINVAL.into());
    }
    let new = AioContext::new(room as usize)?;
    let space = space(context)?;
    let request = MapRequest::anonymous(Place::Hint(0), PAGE_SIZE, PageFlags::READ);
    let address = space.map(&request, &Limits::of(context.process))?;
    space.aio().add(address, new);
    out.write(&(address as u64)).inspect_err(|_| {
        let _ = destroy(&space, address);
    })
}

/// io_destroy(2).
pub fn sys_io_destroy(id: Vaddr, context: &mut Context<'_>) -> Result<()> {
    destroy(&*space(context)?, id)
}

/// io_submit(2). What has been submitted before an error counts; an error is told only of the first.
pub fn sys_io_submit(
    id: Vaddr,
    count: i64,
    requests: UserPtr<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let aio = space(context)?.aio().get(id)?;
    // More than fit are not looked at.
    for index in 0..count {
        let request = requests.cast_at::<u64>(index.saturating_mul(size_of::<u64>())).read();
        match request.and_then(|request: u64| submit(&aio, UserPtr::new(request as Vaddr), context)) {
            Ok(()) => {}
            Err(error) if index == 0 => return Err(error),
            Err(_) => return Ok(index),
        }
    }
    Ok(count)
}

/// io_getevents(2).
pub fn sys_io_getevents(
    id: Vaddr,
    min: i64,
    max: i64,
    events: UserPtr<io_event>,
    limit: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_timespec(limit)?;
    collect(id, (min, max), events, deadline_ns, context)
}

/// io_pgetevents(2).
pub fn sys_io_pgetevents(
    id: Vaddr,
    min: i64,
    max: i64,
    events: UserPtr<io_event>,
    limit: UserPtr<timespec>,
    signals: UserPtr<SignalMask>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = timeout::from_timespec(limit)?;
    let signals = signals.non_null().map(UserPtr::read).transpose()?;
    let (address, size) = signals.map_or((0, 0), |signals| (signals.address, signals.size));
    mask::with(UserPtr::new(address as Vaddr), size as usize, context, |context| {
        collect(id, (min, max), events, deadline_ns, context)
    })
}

/// io_cancel(2). Requests are done when they have been submitted, so none is ever found.
pub fn sys_io_cancel(
    id: Vaddr,
    request: UserPtr<iocb>,
    _result: UserPtr<io_event>,
    context: &mut Context<'_>,
) -> Result<()> {
    request.read()?;
    space(context)?.aio().get(id)?;
    Err(Errno::EINVAL.into())
}

fn collect(
    id: Vaddr,
    (min, max): (i64, i64),
    events: UserPtr<io_event>,
    deadline_ns: Option<u64>,
    context: &Context<'_>,
) -> Result<usize> {
    let (Ok(min), Ok(max)) = (usize::try_from(min), usize::try_from(max)) else {
        return Err(Errno::EINVAL.into());
    };
    if min > max {
        return Err(Errno::EINVAL.into());
    }
    let space = space(context)?;
    let aio = space.aio().get(id)?;
    let taken = aio.take(min, max, deadline_ns, || !space.aio().contains(id))?;
    events.write_array(&taken)?;
    Ok(taken.len())
}

fn destroy(space: &AddressSpace, id: Vaddr) -> Result<()> {
    space.aio().remove(id)?;
    // The program may have unmapped it, or put something else there meanwhile, which is its own affair.
    let _ = space.unmap(id, PAGE_SIZE);
    Ok(())
}

/// Carries one request out.
fn submit(aio: &AioContext, at: UserPtr<iocb>, context: &mut Context<'_>) -> Result<()> {
    let request = at.read()?;
    if request.aio_reserved2 != 0 || request.aio_flags & !(IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if !aio.has_room() {
        return Err(Errno::EAGAIN.into());
    }
    let bell = match request.aio_flags & IOCB_FLAG_RESFD {
        0 => None,
        _ => Some(bell(Fd(request.aio_resfd.cast_signed()), context)?),
    };
    let fd = Fd(request.aio_fildes.cast_signed());
    // What is wrong with the descriptor is wrong with the request, not with the I/O.
    let file = match request.aio_lio_opcode {
        IOCB_CMD_PREAD | IOCB_CMD_PREADV => readable(fd, context)?,
        IOCB_CMD_PWRITE | IOCB_CMD_PWRITEV => writable(fd, context)?,
        IOCB_CMD_FSYNC | IOCB_CMD_FDSYNC if has_range(&request) => return Err(Errno::EINVAL.into()),
        IOCB_CMD_FSYNC | IOCB_CMD_FDSYNC => context.process.fds().get_io(fd)?,
        // COMPAT: IOCB_CMD_POLL is missing.
        _ => return Err(Errno::EINVAL.into()),
    };
    let result = perform(&file, &request);
    let res = match signal_broken_pipe(result, context) {
        Ok(len) => len as i64,
        // A request cannot be started anew, as a call can.
        Err(error) if error.errno() as i32 >= Errno::ERESTARTSYS as i32 => -(Errno::EINTR as i64),
        Err(error) => -(error.errno() as i64),
    };
    aio.push(io_event { data: request.aio_data, obj: at.address() as u64, res, res2: 0 })?;
    if let Some(bell) = bell {
        eventfd::add(&bell, 1);
    }
    Ok(())
}

fn perform(file: &Arc<OpenFile>, request: &iocb) -> Result<usize> {
    let (buffer, len) = (request.aio_buf as Vaddr, request.aio_nbytes as usize);
    let how = request.aio_rw_flags;
    let one = [(buffer, len.min(RW_MAX))];
    let at = |go: &dyn Fn(Option<u64>) -> Result<usize>| {
        let offset = u64::try_from(request.aio_offset).map_err(|_| Error::new(Errno::EINVAL))?;
        match go(Some(offset)) {
            // Pipes and sockets have no positions.
            Err(error) if error.errno() == Errno::ESPIPE => go(None),
            result => result,
        }
    };
    match request.aio_lio_opcode {
        IOCB_CMD_PREAD => at(&|offset| read_how(file, &one, offset, how)),
        IOCB_CMD_PWRITE => at(&|offset| write_how(file, &one, offset, how)),
        IOCB_CMD_PREADV => {
            let pieces = pieces(UserPtr::new(buffer), len)?;
            at(&|offset| read_how(file, &pieces, offset, how))
        }
        IOCB_CMD_PWRITEV => {
            let pieces = pieces(UserPtr::new(buffer), len)?;
            at(&|offset| write_how(file, &pieces, offset, how))
        }
        _ => file.ops().sync(file).map(|()| 0),
    }
}

/// Whether a request says what part of the file it is about.
fn has_range(request: &iocb) -> bool {
    let iocb { aio_buf, aio_nbytes, aio_offset, aio_rw_flags, .. } = *request;
    aio_buf != 0 || aio_nbytes != 0 || aio_offset != 0 || aio_rw_flags != 0
}

/// The eventfd to add to.
fn bell(fd: Fd, context: &Context<'_>) -> Result<Arc<OpenFile>> {
    let file = context.process.fds().get(fd)?;
    if eventfd::is_one(&file) { Ok(file) } else { Err(Error::new(Errno::EINVAL)) }
}

fn space(context: &Context<'_>) -> Result<Arc<AddressSpace>> {
    context.process.address_space().ok_or(Errno::EFAULT.into())
}
