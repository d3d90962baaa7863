//! recvfrom(2), recvmsg(2), recvmmsg(2): <https://man7.org/linux/man-pages/man2/recv.2.html>

use super::message::{MESSAGES_MAX, writers};
use super::{address, control};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::net;
use crate::net::message::ReceiveHow;
use crate::syscall::fs::read_write::RW_MAX;
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::net::{MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_WAITFORONE, mmsghdr, msghdr};
use coffer_abi_types::time::timespec;
use ostd::timer::now_ns;

/// recvfrom(2); recv(2) is the same without an address.
pub fn sys_recvfrom(
    fd: Fd,
    buffer: UserPtr<u8>,
    len: usize,
    flags: u32,
    from: UserPtr<u8>,
    from_len: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let mut writer = buffer.writer(len)?;
    writer.limit(RW_MAX);
    let how = ReceiveHow { flags, is_nonblocking: file.is_nonblocking() };
    let incoming = net::socket::of(&file)?.receive(&mut writer, how)?;
    if !from.is_null() {
        match incoming.from {
            Some(bytes) => address::write(from, from_len, &bytes)?,
            None => from_len.write(&0)?,
        }
    }
    Ok(incoming.len)
}

/// recvmsg(2).
pub fn sys_recvmsg(fd: Fd, header: UserPtr<msghdr>, flags: u32, context: &mut Context<'_>) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let mut value = header.read()?;
    let len = receive_message(&file, &mut value, flags, context)?;
    header.write(&value)?;
    Ok(len)
}

/// recvmmsg(2). The time limit is looked at between messages, as in Linux.
pub fn sys_recvmmsg(
    fd: Fd,
    headers: UserPtr<mmsghdr>,
    count: u32,
    flags: u32,
    limit: UserPtr<timespec>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let limit_ns = match limit.non_null() {
        Some(limit) => Some(limit.read()?.to_ns().ok_or(Errno::EINVAL)?),
        None => None,
    };
    let deadline_ns = limit_ns.map(|ns| now_ns().saturating_add(ns));
    let mut flags = flags;
    let mut received = 0;
    for at in 0..count.min(MESSAGES_MAX) as usize {
        let header: UserPtr<mmsghdr> = headers.cast_at(at * size_of::<mmsghdr>());
        let result = header.read().and_then(|mut value| {
            value.msg_len =
                receive_message(&file, &mut value.msg_hdr, flags & !MSG_WAITFORONE, context)? as u32;
            header.write(&value)
        });
        match result {
            Ok(()) => received += 1,
            Err(error) if received == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & MSG_WAITFORONE != 0 {
            flags |= MSG_DONTWAIT;
        }
        if deadline_ns.is_some_and(|deadline_ns| now_ns() >= deadline_ns) {
            break;
        }
    }
    Ok(received)
}

/// Receives one message and fills in the header.
fn receive_message(
    file: &Arc<OpenFile>,
    header: &mut msghdr,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let socket = net::socket::of(file)?;
    let how = ReceiveHow { flags, is_nonblocking: file.is_nonblocking() };
    let mut incoming = socket.receive(&mut writers(header)?, how)?;
    let from = incoming.from.take().unwrap_or_default();
    if header.msg_name != 0 {
        let room = (header.msg_namelen as usize).min(from.len());
        UserPtr::<u8>::new(header.msg_name as usize).write_array(&from[..room])?;
        header.msg_namelen = from.len() as u32;
    }
    let (used, truncated) =
        control::write(&mut incoming, header.msg_control, header.msg_controllen, flags, context)?;
    header.msg_controllen = used;
    header.msg_flags = incoming.flags | truncated | flags & MSG_CMSG_CLOEXEC;
    Ok(incoming.len)
}
