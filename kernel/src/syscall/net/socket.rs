//! socket(2), socketpair(2), shutdown(2): <https://man7.org/linux/man-pages/man2/socket.2.html>

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::OpenFile;
use crate::net::{self, Shutdown, Socket};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::net::{SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_TYPE_MASK};

/// Families have smaller numbers (Linux: AF_MAX).
const FAMILY_MAX: u32 = 46;
/// Types have smaller numbers (Linux: SOCK_MAX).
const KIND_MAX: u32 = 11;

/// socket(2).
pub fn sys_socket(family: u32, kind: u32, protocol: u32, context: &mut Context<'_>) -> Result<Fd> {
    let status = status_of(family, kind)?;
    let socket = net::create(family, kind & SOCK_TYPE_MASK, protocol)?;
    context.install(open(socket, status, context)?, kind & SOCK_CLOEXEC != 0)
}

/// socketpair(2).
pub fn sys_socketpair(
    family: u32,
    kind: u32,
    protocol: u32,
    fds: UserPtr<[i32; 2]>,
    context: &mut Context<'_>,
) -> Result<()> {
    let status = status_of(family, kind)?;
    let (first, second) = net::create_pair(family, kind & SOCK_TYPE_MASK, protocol)?;
    let (first, second) = (open(first, status, context)?, open(second, status, context)?);
    context.install_pair(first, second, kind & SOCK_CLOEXEC != 0, fds)
}

/// shutdown(2).
pub fn sys_shutdown(fd: Fd, how: i32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    let socket = net::socket::of(&file)?;
    socket.shutdown(match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// An open file for a new socket of the caller's. `status` is SOCK_NONBLOCK, which is O_NONBLOCK, or 0.
pub fn open(socket: Arc<dyn Socket>, status: u32, context: &Context<'_>) -> Result<Arc<OpenFile>> {
    net::socket::open(socket, status, &context.process.credentials())
}

fn status_of(family: u32, kind: u32) -> Result<u32> {
    if kind & !(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if family >= FAMILY_MAX {
        return Err(Errno::EAFNOSUPPORT.into());
    }
    if kind & SOCK_TYPE_MASK >= KIND_MAX {
        return Err(Errno::EINVAL.into());
    }
    Ok(kind & SOCK_NONBLOCK)
}
