//! RTM_*ADDR.

use super::link_at;
use crate::error::{Errno, Error, Result};
use crate::net::ip::{Address, Scope};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::ns::configure;
use alloc::string::ToString;
use coffer_abi_types::netlink::{
    IFA_F_PERMANENT, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RTM_NEWADDR, ifaddrmsg,
};
use coffer_netlink::Body;
use coffer_netlink::rtnetlink::address::{Report, Request as Wanted};
use smoltcp::wire::Ipv4Cidr;

/// RTM_GETADDR.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    if !request.wants_list() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let (head, _) = request.message.split_lenient::<ifaddrmsg>();
    let mut addresses = request.namespace().addresses();
    let is_filtered = request.socket.is_strict() && head.ifa_index != 0;
    if is_filtered {
        addresses.retain(|address| address.link == head.ifa_index);
    }
    addresses.sort_by_key(|address| address.link);
    request.list(list(RTM_NEWADDR, addresses, write))
}

/// RTM_NEWADDR.
pub fn add(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let cidr = cidr(&wanted)?;
    let configuration = configure();
    let namespace = request.namespace();
    let link = link_at(namespace, wanted.head.ifa_index)?;
    let peer = wanted.address.filter(|address| *address != cidr.address());
    let seconds = wanted.valid_seconds.unwrap_or(u32::MAX);
    let address = Address {
        link: link.index(),
        cidr,
        peer,
        broadcast: wanted.broadcast,
        scope: Scope::from(wanted.head.ifa_scope),
        label: wanted.label.map_or_else(|| link.name(), ToString::to_string),
        flags: wanted.flags & !IFA_F_PERMANENT | if seconds == u32::MAX { IFA_F_PERMANENT } else { 0 },
        lifetimes: (seconds, seconds),
    };
    let known = namespace.addresses_of(link.index()).into_iter().any(|known| known.cidr == cidr);
    if known && !request.has(NLM_F_EXCL) && request.has(NLM_F_REPLACE) {
        // The route to its network goes and comes again with it.
        namespace.remove_address(&configuration, link.index(), cidr)?;
    } else if !known && !request.has(NLM_F_CREATE) && request.has(NLM_F_REPLACE) {
        return Err(Errno::ENOENT.into());
    }
    namespace.add_address(&configuration, address).map(|()| Answer::Done)
}

/// RTM_DELADDR.
pub fn delete(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let configuration = configure();
    let namespace = request.namespace();
    let link = link_at(namespace, wanted.head.ifa_index)?;
    let own = wanted.local.or(wanted.address);
    let is_it = |address: &&Address| {
        own.is_none_or(|own| address.address() == own)
            && wanted.label.is_none_or(|label| address.label == label)
            && (wanted.address.is_none() || address.cidr.prefix_len() == wanted.head.ifa_prefixlen)
    };
    let addresses = namespace.addresses_of(link.index());
    let found = addresses
        .iter()
        .find(is_it)
        .ok_or(Error::with(Errno::EADDRNOTAVAIL, "the link has no such address"))?;
    namespace.remove_address(&configuration, link.index(), found.cidr).map(|()| Answer::Done)
}

fn cidr(wanted: &Wanted<'_>) -> Result<Ipv4Cidr> {
    let own = wanted.local.ok_or(Error::with(Errno::EINVAL, "the address is missing"))?;
    if wanted.head.ifa_prefixlen > 32 {
        return Err(Error::with(Errno::EINVAL, "a prefix of IPv4 has at most 32 bits"));
    }
    Ok(Ipv4Cidr::new(own, wanted.head.ifa_prefixlen))
}

/// Writes what there is to tell of an address.
pub fn write(address: &Address, body: &mut Body<'_>) {
    let report = Report {
        link: address.link,
        prefix_len: address.cidr.prefix_len(),
        scope: address.scope as u8,
        flags: address.flags,
        local: address.address(),
        address: address.peer.unwrap_or(address.address()),
        broadcast: address.broadcast,
        label: &address.label,
        valid_seconds: Some(address.lifetimes.0).filter(|seconds| *seconds != u32::MAX),
    };
    report.write(body);
}
