//! RTM_*ROUTE: the main table, which can be changed, and the local one, which follows from the addresses.

use super::AF_INET;
use crate::error::{Errno, Error, Result};
use crate::net::ip::{Hints, RouteEntry, RouteKind, Scope};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::ns::{NetNs, configure};
use crate::thread::Thread;
use alloc::vec::Vec;
use coffer_abi_types::netlink::{
    NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RT_SCOPE_NOWHERE, RT_TABLE_LOCAL, RT_TABLE_MAIN,
    RT_TABLE_UNSPEC, RTM_F_CLONED, RTM_F_LOOKUP_TABLE, RTM_NEWROUTE, RTN_BLACKHOLE, RTN_PROHIBIT,
    RTN_UNICAST, RTN_UNREACHABLE, RTN_UNSPEC, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTPROT_KERNEL, RTPROT_UNSPEC,
    rtmsg,
};
use coffer_netlink::Body;
use coffer_netlink::rtnetlink::route::{Report, Request as Wanted};
use core::net::Ipv4Addr;
use smoltcp::wire::Ipv4Cidr;

/// RTM_GETROUTE: all routes, or the way to one destination.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    if !request.wants_list() {
        return show_one(request);
    }
    let (head, _) = request.message.split_lenient::<rtmsg>();
    // Nothing is cached.
    let mut reports = Vec::new();
    if head.rtm_flags & RTM_F_CLONED == 0 {
        reports = all(request.namespace());
    }
    if request.socket.is_strict() {
        let wanted = Wanted::read(&request.message)?;
        let table = wanted.table();
        reports.retain(|report: &Report| {
            (table == u32::from(RT_TABLE_UNSPEC) || report.table == table)
                && (head.rtm_protocol == RTPROT_UNSPEC || report.protocol == head.rtm_protocol)
                && (head.rtm_type == RTN_UNSPEC || report.kind == head.rtm_type)
                && wanted.link.is_none_or(|link| report.link == Some(link))
        });
    }
    request.list(list(RTM_NEWROUTE, reports, |report, body| report.write(body)))
}

fn all(namespace: &NetNs) -> Vec<Report> {
    let main = namespace.routes().into_iter().rev().map(|route| describe(namespace, &route, RT_TABLE_MAIN));
    let local = local_entries(namespace).into_iter().map(|route| describe(namespace, &route, RT_TABLE_LOCAL));
    main.chain(local).collect()
}

/// The local table: this machine's own addresses, and the broadcast addresses of its networks.
pub fn local_entries(namespace: &NetNs) -> Vec<RouteEntry> {
    let mut entries = Vec::new();
    for address in namespace.addresses() {
        if !namespace.link(address.link).is_some_and(|link| link.is_up()) {
            continue;
        }
        let mut add = |destination: Ipv4Cidr, kind, scope| {
            let entry = RouteEntry::on_link(destination, address.link, Some(address.address()));
            entries.push(RouteEntry { kind, scope, protocol: RTPROT_KERNEL, ..entry });
        };
        if address.address().is_loopback() {
            add(address.network(), RouteKind::Local, Scope::Host);
        }
        add(Ipv4Cidr::new(address.address(), 32), RouteKind::Local, Scope::Host);
        if let Some(broadcast) = address.broadcast.or(address.network().broadcast()) {
            add(Ipv4Cidr::new(broadcast, 32), RouteKind::Broadcast, Scope::Link);
        }
    }
    entries
}

fn show_one(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let namespace = request.namespace();
    let hints = Hints { source: wanted.source, link: wanted.link };
    let destination = wanted.destination.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let route = namespace.route(destination, &hints)?;
    let is_main_wanted = wanted.head.rtm_flags & RTM_F_LOOKUP_TABLE == 0;
    let table = if route.is_local() && !is_main_wanted { RT_TABLE_LOCAL } else { RT_TABLE_MAIN };
    let uid = Thread::current().map(|thread| thread.process().credentials().uid[0]);
    let report = Report {
        destination: Some(route.destination),
        prefix_len: 32,
        gateway: route.gateway,
        preferred: Some(route.source),
        link: Some(route.link.index()),
        table: table.into(),
        kind: route.kind as u8,
        flags: RTM_F_CLONED,
        uid,
        ..Report::default()
    };
    request.reply(RTM_NEWROUTE, |body| report.write(body))
}

/// RTM_NEWROUTE.
pub fn add(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    check_family_and_table(&wanted)?;
    let kind = match wanted.head.rtm_type {
        RTN_UNICAST => RouteKind::Unicast,
        RTN_BLACKHOLE => RouteKind::Blackhole,
        RTN_UNREACHABLE => RouteKind::Unreachable,
        RTN_PROHIBIT => RouteKind::Prohibit,
        _ => return Err(Error::with(Errno::EINVAL, "the main table holds no routes of this type")),
    };
    let destination = destination(&wanted);
    if kind == RouteKind::Unicast && wanted.gateway.is_none() && wanted.link.is_none() {
        return Err(Error::with(Errno::ENODEV, "the route has neither gateway nor link"));
    }
    let route = RouteEntry {
        destination,
        gateway: wanted.gateway.filter(|gateway| !gateway.is_unspecified()),
        link: wanted.link.unwrap_or(0),
        source: wanted.preferred,
        metric: wanted.metric.unwrap_or(0),
        scope: Scope::from(wanted.head.rtm_scope),
        kind,
        protocol: wanted.head.rtm_protocol,
        mtu: wanted.mtu.filter(|mtu| *mtu != 0),
        is_onlink: wanted.head.rtm_flags & RTNH_F_ONLINK != 0,
    };
    let configuration = configure();
    let namespace = request.namespace();
    let is_same = |known: &RouteEntry| known.destination == route.destination && known.metric == route.metric;
    let is_known = namespace.routes().iter().any(is_same);
    match (is_known, request.has(NLM_F_EXCL), request.has(NLM_F_REPLACE)) {
        (true, true, _) => Err(Errno::EEXIST.into()),
        (true, false, true) => namespace.replace_route(&configuration, route),
        (false, ..) if !request.has(NLM_F_CREATE) => Err(Errno::ENOENT.into()),
        _ => namespace.add_route(&configuration, route),
    }?;
    Ok(Answer::Done)
}

/// RTM_DELROUTE: the first route that has everything that is named.
pub fn delete(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    check_family_and_table(&wanted)?;
    let destination = destination(&wanted);
    let head = wanted.head;
    let is_it = |route: &RouteEntry| {
        route.destination == destination
            && wanted.metric.is_none_or(|metric| metric == 0 || route.metric == metric)
            && wanted.gateway.is_none_or(|gateway| route.gateway == Some(gateway))
            && wanted.link.is_none_or(|link| route.link == link)
            && wanted.preferred.is_none_or(|source| route.source == Some(source))
            && (head.rtm_type == RTN_UNSPEC || route.kind as u8 == head.rtm_type)
            && (head.rtm_protocol == RTPROT_UNSPEC || route.protocol == head.rtm_protocol)
            && (head.rtm_scope == RT_SCOPE_NOWHERE || route.scope as u8 == head.rtm_scope)
    };
    request.namespace().remove_route(&configure(), is_it).map(|()| Answer::Done)
}

fn check_family_and_table(wanted: &Wanted) -> Result<()> {
    if wanted.head.rtm_family != AF_INET {
        return Err(Errno::EAFNOSUPPORT.into());
    }
    if ![u32::from(RT_TABLE_UNSPEC), u32::from(RT_TABLE_MAIN)].contains(&wanted.table()) {
        return Err(Error::with(Errno::EOPNOTSUPP, "only the main table can be changed"));
    }
    Ok(())
}

fn destination(wanted: &Wanted) -> Ipv4Cidr {
    // Reading has checked the length.
    Ipv4Cidr::new(wanted.destination.unwrap_or(Ipv4Addr::UNSPECIFIED), wanted.head.rtm_dst_len.min(32))
}

/// What there is to tell of a route.
fn describe(namespace: &NetNs, route: &RouteEntry, table: u8) -> Report {
    let mut flags = if route.is_onlink { RTNH_F_ONLINK } else { 0 };
    if namespace.link(route.link).is_some_and(|link| link.is_up() && !link.has_carrier()) {
        flags |= RTNH_F_LINKDOWN;
    }
    Report {
        destination: (route.destination.prefix_len() > 0).then(|| route.destination.address()),
        prefix_len: route.destination.prefix_len(),
        gateway: route.gateway,
        preferred: route.source,
        link: Some(route.link).filter(|link| *link != 0),
        metric: route.metric,
        mtu: route.mtu,
        table: table.into(),
        protocol: route.protocol,
        scope: route.scope as u8,
        kind: route.kind as u8,
        flags,
        uid: None,
    }
}

/// Writes what there is to tell of a route of the main table.
pub fn write(namespace: &NetNs, route: &RouteEntry, body: &mut Body<'_>) {
    describe(namespace, route, RT_TABLE_MAIN).write(body);
}
