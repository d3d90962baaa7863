//! Addresses in and out, getsockname(2), getpeername(2): <https://man7.org/linux/man-pages/man2/getsockname.2.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::net;
use crate::syscall::{Fd, UserPtr};
use alloc::vec::Vec;

/// The longest address (struct sockaddr_storage).
const ADDRESS_MAX: usize = 128;

/// getsockname(2).
pub fn sys_getsockname(
    fd: Fd,
    address: UserPtr<u8>,
    len: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    write(address, len, &net::socket::of(&file)?.local_address()?)
}

/// getpeername(2).
pub fn sys_getpeername(
    fd: Fd,
    address: UserPtr<u8>,
    len: UserPtr<u32>,
    context: &mut Context<'_>,
) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    write(address, len, &net::socket::of(&file)?.peer_address()?)
}

/// Reads an address.
pub fn read(address: UserPtr<u8>, len: u32) -> Result<Vec<u8>> {
    match usize::try_from(len) {
        Ok(len) if len <= ADDRESS_MAX => address.read_array(len),
        _ => Err(Error::new(Errno::EINVAL)),
    }
}

/// Writes an address, cut short to the room that `len` tells, and its full length to `len`.
pub fn write(address: UserPtr<u8>, len: UserPtr<u32>, bytes: &[u8]) -> Result<()> {
    let room = usize::try_from(len.read()?.cast_signed()).map_err(|_| Errno::EINVAL)?;
    address.write_array(&bytes[..room.min(bytes.len())])?;
    len.write(&(bytes.len() as u32))
}
