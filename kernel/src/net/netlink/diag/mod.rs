//! sock_diag(7): sockets, as ss(8) lists them.

mod inet;
mod netlink;
mod unix;

use super::dump::list;
use super::request::{Answer, Request};
use crate::error::{Errno, Error, Result};
use crate::net::netlink::AF_NETLINK;
use alloc::vec::Vec;
use coffer_abi_types::inet::AF_INET;
use coffer_abi_types::net::AF_UNIX;
use coffer_abi_types::netlink::SOCK_DIAG_BY_FAMILY;

const AF_INET6: u16 = 10;

/// Serves a request.
///
/// # Errors
/// ENOENT for a family that cannot be asked about, EOPNOTSUPP.
pub fn serve(request: &Request<'_>) -> Result<Answer> {
    if request.message.head.nlmsg_type != SOCK_DIAG_BY_FAMILY {
        return Err(Errno::EINVAL.into());
    }
    let family = *request.message.payload.first().ok_or(Errno::EINVAL)?;
    match u16::from(family) {
        AF_INET => inet::show(request),
        AF_UNIX => unix::show(request),
        AF_NETLINK => netlink::show(request),
        // As with ipv6.disable=1: the family can be asked, and has none.
        AF_INET6 if request.wants_list() => {
            request.list(list::<()>(SOCK_DIAG_BY_FAMILY, Vec::new(), |(), _| {}))
        }
        _ => Err(Error::with(Errno::ENOENT, "sockets of this family cannot be asked about")),
    }
}
