//! sendto(2), sendmsg(2), sendmmsg(2): <https://man7.org/linux/man-pages/man2/send.2.html>

use super::message::{MESSAGES_MAX, readers};
use super::{address, control};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::net::{self, Kind, Outgoing, Source};
use crate::syscall::fs::read_write::{RW_MAX, signal_broken_pipe};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::net::{MSG_NOSIGNAL, mmsghdr, msghdr};

/// sendto(2); send(2) is the same without an address.
pub fn sys_sendto(
    fd: Fd,
    buffer: UserPtr<u8>,
    len: usize,
    flags: u32,
    to: UserPtr<u8>,
    to_len: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let to = to.non_null().map(|to| address::read(to, to_len)).transpose()?;
    let message = Outgoing { flags, to: to.as_deref(), ..Outgoing::default() };
    let mut reader = buffer.reader(len)?;
    reader.limit(RW_MAX);
    send(&file, &mut reader, message, context)
}

/// sendmsg(2).
pub fn sys_sendmsg(fd: Fd, header: UserPtr<msghdr>, flags: u32, context: &mut Context<'_>) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    send_message(&file, &header.read()?, flags, context)
}

/// sendmmsg(2).
pub fn sys_sendmmsg(
    fd: Fd,
    headers: UserPtr<mmsghdr>,
    count: u32,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let file = context.process.fds().get_io(fd)?;
    let mut sent = 0;
    for at in 0..count.min(MESSAGES_MAX) as usize {
        let header: UserPtr<mmsghdr> = headers.cast_at(at * size_of::<mmsghdr>());
        let result = header.read().and_then(|mut header_value| {
            let len = send_message(&file, &header_value.msg_hdr, flags, context)?;
            header_value.msg_len = len as u32;
            header.write(&header_value)
        });
        match result {
            Ok(()) => sent += 1,
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn send_message(
    file: &Arc<OpenFile>,
    header: &msghdr,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    net::socket::of(file)?;
    let name = UserPtr::new(header.msg_name as usize);
    let to = name.non_null().filter(|_| header.msg_namelen > 0);
    let to = to.map(|to| address::read(to, header.msg_namelen)).transpose()?;
    let control = control::read(header.msg_control, header.msg_controllen, context)?;
    let message = Outgoing {
        flags,
        to: to.as_deref(),
        rights: control.rights,
        credentials: control.credentials,
        control: control.others,
        ..Outgoing::default()
    };
    send(file, &mut readers(header)?, message, context)
}

fn send(
    file: &Arc<OpenFile>,
    source: &mut dyn Source,
    message: Outgoing<'_>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let socket = net::socket::of(file)?;
    let flags = message.flags;
    let result = socket.send(source, Outgoing { is_nonblocking: file.is_nonblocking(), ..message });
    match &result {
        Err(error)
            if error.errno() == Errno::EPIPE
                && flags & MSG_NOSIGNAL == 0
                && socket.kind() == Kind::Stream =>
        {
            signal_broken_pipe(result, context)
        }
        _ => result,
    }
}
