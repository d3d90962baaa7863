//! getsockopt(2), setsockopt(2): <https://man7.org/linux/man-pages/man2/getsockopt.2.html>

use super::control;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::net;
use crate::syscall::{Fd, UserPtr};
use coffer_abi_types::net::{SO_PEERCRED, SOL_SOCKET};
use zerocopy::IntoBytes;

/// The most bytes of a value that are looked at.
const VALUE_MAX: usize = 256;

/// getsockopt(2).
pub fn sys_getsockopt(
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    let socket = net::socket::of(&file)?;
    let room = usize::try_from(len.read()?.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let write = |bytes: &[u8]| {
        let written = room.min(bytes.len());
        value.write_array(&bytes[..written])?;
        len.write(&(written as u32))
    };
    match (level, name) {
        (SOL_SOCKET, SO_PEERCRED) => write(control::shown(socket.peer_credentials()?, context).as_bytes()),
        (SOL_SOCKET, _) => write(net::socket::option(&**socket, name)?.as_bytes()),
        _ => write(socket.option(level, name)?.as_bytes()),
    }
}

/// setsockopt(2).
pub fn sys_setsockopt(
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len: i32,
    context: &mut Context<'_>,
) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    let socket = net::socket::of(&file)?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let value = value.read_array(len.min(VALUE_MAX))?;
    match level {
        SOL_SOCKET => net::socket::set_option(&**socket, name, &value),
        _ => socket.set_option(level, name, &value),
    }
}
