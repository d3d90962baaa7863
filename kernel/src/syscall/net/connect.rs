//! bind(2), listen(2), connect(2), accept(2): <https://man7.org/linux/man-pages/man2/accept.2.html>

use super::{address, socket};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::net;
use crate::syscall::{Fd, UserPtr};
use coffer_abi_types::net::{SOCK_CLOEXEC, SOCK_NONBLOCK};

/// The longest backlog (/proc/sys/net/core/somaxconn).
const BACKLOG_MAX: u32 = 4096;

/// bind(2).
pub fn sys_bind(fd: Fd, address: UserPtr<u8>, len: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    net::socket::of(&file)?.bind(&address::read(address, len)?, context.thread)
}

/// listen(2). A negative backlog is as long as can be.
pub fn sys_listen(fd: Fd, backlog: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    net::socket::of(&file)?.listen(backlog.min(BACKLOG_MAX) as usize, context.thread)
}

/// connect(2).
pub fn sys_connect(fd: Fd, address: UserPtr<u8>, len: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    let address = address::read(address, len)?;
    net::socket::of(&file)?.connect(&address, file.is_nonblocking(), context.thread)
}

/// accept(2).
pub fn sys_accept(fd: Fd, address: UserPtr<u8>, len: UserPtr<u32>, context: &mut Context<'_>) -> Result<Fd> {
    sys_accept4(fd, address, len, 0, context)
}

/// accept4(2).
pub fn sys_accept4(
    fd: Fd,
    address: UserPtr<u8>,
    len: UserPtr<u32>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<Fd> {
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get_io(fd)?;
    let new = net::socket::of(&file)?.accept(file.is_nonblocking())?;
    if !address.is_null() {
        address::write(address, len, &new.accepted_from())?;
    }
    context.install(socket::open(new, flags & SOCK_NONBLOCK, context)?, flags & SOCK_CLOEXEC != 0)
}
