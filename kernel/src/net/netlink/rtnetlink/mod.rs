//! rtnetlink(7): links, addresses, routes, neighbours and rules of a network namespace. One file a noun; each shows what there is, makes the
//! changes that it is asked for, and [`notify`] tells of them, whoever made them.

mod address;
mod link;
mod neighbour;
mod notify;
mod route;
mod rule;

pub use link::operational_state;
pub use notify::notify;

use super::dump;
use super::request::{Answer, Request, require};
use crate::error::{Errno, Error, Result};
use crate::net::link::Link;
use crate::net::ns::NetNs;
use crate::process::credentials::Capability;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::AF_UNSPEC;
use coffer_abi_types::netlink::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH,
    RTM_GETROUTE, RTM_GETRULE, RTM_MAX, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_SETLINK,
};

/// As in the first byte of every message.
const AF_INET: u8 = 2;

/// Serves a request.
///
/// # Errors
/// As rtnetlink(7); EOPNOTSUPP for what there is not.
pub fn serve(request: &Request<'_>) -> Result<Answer> {
    let kind = request.message.head.nlmsg_type;
    if kind > RTM_MAX {
        return Err(Errno::EOPNOTSUPP.into());
    }
    // What holds no family asks for nothing.
    let Some(&family) = request.message.payload.first() else { return Ok(Answer::Done) };
    // Of each four types, the third reads; the others change.
    if kind % 4 != RTM_GETLINK % 4 {
        require(Capability::NetAdmin)?;
    }
    // As with ipv6.disable=1: of other families there is nothing to list, and nothing to be changed.
    let is_known_family = matches!(family, AF_INET) || u16::from(family) == AF_UNSPEC;
    let is_about_links = matches!(kind, RTM_NEWLINK | RTM_DELLINK | RTM_GETLINK | RTM_SETLINK);
    if !is_known_family && !is_about_links {
        return if request.wants_list() && kind % 4 == RTM_GETLINK % 4 {
            request.list(dump::list::<()>(kind, Vec::new(), |(), _| {}))
        } else {
            Err(Errno::EOPNOTSUPP.into())
        };
    }
    match kind {
        RTM_NEWLINK => link::create_or_change(request),
        RTM_SETLINK => link::change(request),
        RTM_DELLINK => link::delete(request),
        RTM_GETLINK => link::show(request),
        RTM_NEWADDR => address::add(request),
        RTM_DELADDR => address::delete(request),
        RTM_GETADDR => address::show(request),
        RTM_NEWROUTE => route::add(request),
        RTM_DELROUTE => route::delete(request),
        RTM_GETROUTE => route::show(request),
        RTM_NEWNEIGH => neighbour::add(request),
        RTM_DELNEIGH => neighbour::delete(request),
        RTM_GETNEIGH => neighbour::show(request),
        RTM_GETRULE => rule::show(request),
        _ => Err(Error::with(Errno::EOPNOTSUPP, "there is no such object here")),
    }
}

/// The link with an index, as a request names it.
///
/// # Errors
/// ENODEV.
fn link_at(namespace: &NetNs, index: u32) -> Result<Arc<Link>> {
    namespace.link(index).ok_or(Error::with(Errno::ENODEV, "there is no link with this index"))
}
