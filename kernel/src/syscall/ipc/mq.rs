//! mq_open(3) and its family: <https://man7.org/linux/man-pages/man7/mq_overview.7.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::mqueue;
use crate::fs::open_file::OpenFile;
use crate::fs::open_file::flags::{O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK};
use crate::fs::vfs::lookup::{LookupFlags, LookupStart};
use crate::fs::vfs::open::{self, OpenHow};
use crate::fs::vfs::{names, permission};
use crate::ipc::mq::{Notice, PRIORITIES, Queue};
use crate::net;
use crate::signal::Signal;
use crate::syscall::{Fd, UserCStr, UserPtr};
use crate::time::Clock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::ipc::mq_attr;
use coffer_abi_types::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, sigevent};
use coffer_abi_types::time::timespec;

/// mq_open(3); the C library has taken the slash off.
pub fn sys_mq_open(
    name: UserCStr,
    flags: u32,
    mode: u32,
    attributes: UserPtr<mq_attr>,
    context: &mut Context<'_>,
) -> Result<Fd> {
    let attributes = match attributes.non_null() {
        Some(attributes) if flags & O_CREAT != 0 => Some(attributes.read()?),
        _ => None,
    };
    let name = read_name(name)?;
    let start = start(context)?;
    let how =
        OpenHow { flags: flags & (O_ACCMODE | O_NONBLOCK), permissions: 0, resolve: LookupFlags::empty() };
    let file = loop {
        match open::open(&start, &name, how) {
            Ok(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => return Err(Errno::EEXIST.into()),
            Err(error) if error.errno() == Errno::ENOENT && flags & O_CREAT != 0 => {}
            result => break result?,
        }
        permission::check(&**start.base.inode()?, &start.credentials, permission::WRITE)?;
        let queue = Queue::new(attributes, context.process)?;
        let permissions = mode & 0o777 & !context.thread.place().umask();
        match context.thread.namespaces()?.ipc.mqueue.add(&name, queue, permissions, context.process) {
            Err(error) if error.errno() == Errno::EEXIST && flags & O_EXCL == 0 => {}
            added => {
                added?;
                // Whoever makes a queue opens it, whatever its permissions are.
                let made = crate::fs::vfs::lookup::lookup(&start, &name, LookupFlags::empty())?;
                break made.open(how.flags)?;
            }
        }
    };
    context.install(file, true)
}

/// mq_unlink(3).
pub fn sys_mq_unlink(name: UserCStr, context: &mut Context<'_>) -> Result<()> {
    let name = read_name(name)?;
    names::unlink(&start(context)?, &name)
}

/// mq_timedsend(3).
pub fn sys_mq_timedsend(
    fd: Fd,
    message: UserPtr<u8>,
    len: usize,
    priority: u32,
    timeout: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<()> {
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL.into());
    }
    let deadline_ns = deadline(timeout)?;
    let (file, queue) = queue(fd, context)?;
    if !file.is_writable() {
        return Err(Errno::EBADF.into());
    }
    if len > queue.size_max() {
        return Err(Errno::EMSGSIZE.into());
    }
    let message = message.read_array(len)?;
    queue.send(message, priority, !file.is_nonblocking(), deadline_ns, context.process)
}

/// mq_timedreceive(3).
pub fn sys_mq_timedreceive(
    fd: Fd,
    message: UserPtr<u8>,
    len: usize,
    priority: UserPtr<u32>,
    timeout: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let deadline_ns = deadline(timeout)?;
    let (file, queue) = queue(fd, context)?;
    if !file.is_readable() {
        return Err(Errno::EBADF.into());
    }
    if len < queue.size_max() {
        return Err(Errno::EMSGSIZE.into());
    }
    let (bytes, received_priority) = queue.receive(!file.is_nonblocking(), deadline_ns)?;
    priority.write_if_some(&received_priority)?;
    message.write_array(&bytes)?;
    Ok(bytes.len())
}

/// mq_notify(3).
pub fn sys_mq_notify(fd: Fd, event: UserPtr<sigevent>, context: &mut Context<'_>) -> Result<()> {
    let event = event.non_null().map(UserPtr::read).transpose()?;
    let notice = event.map(|event| notice(&event, context)).transpose()?;
    let (_, queue) = queue(fd, context)?;
    match notice {
        Some(notice) => queue.register(context.process, notice),
        None => {
            queue.unregister(context.process);
            Ok(())
        }
    }
}

/// mq_getattr(3) and mq_setattr(3).
pub fn sys_mq_getsetattr(
    fd: Fd,
    new: UserPtr<mq_attr>,
    old: UserPtr<mq_attr>,
    context: &mut Context<'_>,
) -> Result<()> {
    let new = new.non_null().map(UserPtr::read).transpose()?;
    if new.is_some_and(|new| new.mq_flags & !i64::from(O_NONBLOCK) != 0) {
        return Err(Errno::EINVAL.into());
    }
    let (file, queue) = queue(fd, context)?;
    let before = mq_attr { mq_flags: i64::from(file.flags() & O_NONBLOCK), ..queue.attributes() };
    if let Some(new) = new {
        file.set_flags(O_NONBLOCK, new.mq_flags as u32);
    }
    old.write_if_some(&before)
}

fn notice(event: &sigevent, context: &Context<'_>) -> Result<Notice> {
    match event.sigev_notify {
        SIGEV_NONE => Ok(Notice::Nothing),
        SIGEV_SIGNAL => {
            Ok(Notice::Signal(Signal::new(event.sigev_signo).ok_or(Errno::EINVAL)?, event.sigev_value))
        }
        SIGEV_THREAD => {
            let cookie = UserPtr::new(event.sigev_value as usize).read()?;
            let file = context.process.fds().get(Fd(event.sigev_signo))?;
            Notice::by_socket(net::socket::of(&file)?.clone(), cookie)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// An open queue: EBADF for what is none.
fn queue(fd: Fd, context: &Context<'_>) -> Result<(Arc<OpenFile>, Arc<Queue>)> {
    let file = context.process.fds().get_io(fd)?;
    let queue = mqueue::of(&file).ok_or(Errno::EBADF)?.clone();
    Ok((file, queue))
}

/// A name in the directory of queues.
fn read_name(name: UserCStr) -> Result<Vec<u8>> {
    let name = name.read_path()?;
    match name.as_slice() {
        b"" => Err(Errno::ENOENT.into()),
        b"." | b".." => Err(Errno::EACCES.into()),
        _ if name.contains(&b'/') => Err(Error::with(Errno::EACCES, "a queue's name has a slash")),
        _ => Ok(name),
    }
}

/// Where names of queues are looked up.
fn start(context: &Context<'_>) -> Result<LookupStart> {
    let root = context.thread.namespaces()?.ipc.mqueue.root();
    Ok(LookupStart { root: root.clone(), base: root, credentials: context.process.credentials() })
}

/// When to give up, on the monotonic clock; the caller says it on the wall clock.
fn deadline(timeout: UserPtr<timespec>) -> Result<Option<u64>> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    let time_ns = timeout.read()?.to_ns().ok_or(Errno::EINVAL)?;
    Ok(Some(Clock::Realtime.to_monotonic(time_ns)))
}
