//! What sendmsg(2) and recvmsg(2) have in common: headers and buffers.

use crate::error::{Errno, Result};
use crate::net::message::{Readers, Writers};
use crate::syscall::UserPtr;
use crate::syscall::fs::vectored::pieces;
use coffer_abi_types::net::msghdr;
use ostd::mm::{VmReader, VmWriter};

/// The most messages of sendmmsg(2) and recvmmsg(2).
pub const MESSAGES_MAX: u32 = 1024;

/// The buffers to send from: EMSGSIZE for too many.
pub fn readers(header: &msghdr) -> Result<Readers> {
    let mut readers = Readers(alloc::vec::Vec::new());
    for (address, len) in buffers(header)? {
        readers.0.push(VmReader::from_user(address, len)?);
    }
    Ok(readers)
}

/// The buffers to receive into: EMSGSIZE for too many.
pub fn writers(header: &msghdr) -> Result<Writers> {
    let mut writers = Writers(alloc::vec::Vec::new());
    for (address, len) in buffers(header)? {
        writers.0.push(VmWriter::from_user(address, len)?);
    }
    Ok(writers)
}

fn buffers(header: &msghdr) -> Result<alloc::vec::Vec<(usize, usize)>> {
    if header.msg_iovlen > 1024 {
        return Err(Errno::EMSGSIZE.into());
    }
    pieces(UserPtr::new(header.msg_iov as usize), header.msg_iovlen as usize)
}
