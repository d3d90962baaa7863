//! News: what changed in a namespace, to those who joined the groups of rtnetlink(7).

use super::{address, link, route};
use crate::net::event::Event;
use crate::net::netlink::Protocol;
use crate::net::netlink::queue::Datagram;
use crate::net::ns::NetNs;
use coffer_abi_types::netlink::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE, RTNLGRP_LINK, nlmsghdr,
};
use coffer_netlink::{Body, Writer};

/// Room for one message.
const ROOM: usize = 4096;

/// Tells of a change.
pub fn notify(namespace: &NetNs, event: &Event<'_>) {
    let (group, kind) = match event {
        Event::LinkChanged(_) => (RTNLGRP_LINK, RTM_NEWLINK),
        Event::LinkGone(_) => (RTNLGRP_LINK, RTM_DELLINK),
        Event::AddressAdded(_) => (RTNLGRP_IPV4_IFADDR, RTM_NEWADDR),
        Event::AddressRemoved(_) => (RTNLGRP_IPV4_IFADDR, RTM_DELADDR),
        Event::RouteAdded(_) => (RTNLGRP_IPV4_ROUTE, RTM_NEWROUTE),
        Event::RouteRemoved(_) => (RTNLGRP_IPV4_ROUTE, RTM_DELROUTE),
    };
    if !namespace.netlink.has_members(Protocol::Route, group) {
        return;
    }
    // Whoever misses something for lack of memory cannot be told that either.
    let Some(mut writer) = Writer::new(ROOM) else { return };
    let head = nlmsghdr { nlmsg_type: kind, ..nlmsghdr::default() };
    let write = |body: &mut Body<'_>| match event {
        // Which flags have changed nobody says: all may have.
        Event::LinkChanged(link) | Event::LinkGone(link) => link::write(link, u32::MAX, 0, body),
        Event::AddressAdded(address) | Event::AddressRemoved(address) => address::write(address, body),
        Event::RouteAdded(route) | Event::RouteRemoved(route) => route::write(namespace, route, body),
    };
    if writer.message(head, write) {
        namespace.netlink.multicast(Protocol::Route, &Datagram::from_kernel(writer.into_bytes(), group));
    }
}
