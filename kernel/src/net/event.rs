//! What changed in a namespace: told to everybody who watches (rtnetlink(7) groups).

use super::ip::{Address, RouteEntry};
use super::link::Link;
use super::netlink;
use super::ns::{Configuration, NetNs};
use alloc::sync::Arc;

/// A change that has happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A link came or is not as it was.
    LinkChanged(&'a Arc<Link>),
    /// A link went.
    LinkGone(&'a Arc<Link>),
    /// An address came.
    AddressAdded(&'a Address),
    /// An address went.
    AddressRemoved(&'a Address),
    /// A route came.
    RouteAdded(&'a RouteEntry),
    /// A route went.
    RouteRemoved(&'a RouteEntry),
}

/// Tells. Called with the right to change in hand, so events come in the order of the changes.
pub fn announce(namespace: &Arc<NetNs>, _configuration: &Configuration, event: &Event<'_>) {
    netlink::rtnetlink::notify(namespace, event);
}
