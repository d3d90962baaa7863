//! RTM_*NEIGH.

use super::{AF_INET, link_at};
use crate::error::{Errno, Error, Result};
use crate::net::link::neighbour::{Entry, State};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use alloc::vec::Vec;
use coffer_abi_types::netlink::{
    NDA_IFINDEX, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NUD_NOARP, NUD_PERMANENT, RTM_NEWNEIGH,
    RTN_UNICAST, nda_cacheinfo, ndmsg,
};
use coffer_netlink::Body;
use coffer_netlink::rtnetlink::neighbour::{Report, Request as Wanted};
use smoltcp::wire::EthernetAddress;

/// RTM_GETNEIGH.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    let namespace = request.namespace();
    if !request.wants_list() {
        let wanted = Wanted::read(&request.message)?;
        let link = link_at(namespace, wanted.head.ndm_ifindex.cast_unsigned())?;
        let address = wanted.address.ok_or(Error::with(Errno::EINVAL, "the address is missing"))?;
        let entries = link.neighbours.entries();
        let entry = entries.iter().find(|entry| entry.address == address).ok_or(Errno::ENOENT)?;
        return request.reply(RTM_NEWNEIGH, |body| write(link.index(), entry, body));
    }
    let (head, attributes) = request.message.split_lenient::<ndmsg>();
    let by_attribute = attributes.find(NDA_IFINDEX);
    let wanted = match by_attribute {
        Some(attribute) => attribute.u32()?,
        None => head.ndm_ifindex.cast_unsigned(),
    };
    let links = namespace.links().into_iter().filter(|link| wanted == 0 || link.index() == wanted);
    let entries: Vec<_> = links
        .flat_map(|link| {
            let index = link.index();
            link.neighbours.entries().into_iter().map(move |entry| (index, entry))
        })
        .collect();
    request.list(list(RTM_NEWNEIGH, entries, |(link, entry), body| write(*link, entry, body)))
}

/// RTM_NEWNEIGH.
pub fn add(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    if wanted.head.ndm_family != AF_INET {
        return Err(Errno::EAFNOSUPPORT.into());
    }
    let link = link_at(request.namespace(), wanted.head.ndm_ifindex.cast_unsigned())?;
    let address = wanted.address.ok_or(Error::with(Errno::EINVAL, "the address is missing"))?;
    let known = link.neighbours.entries().into_iter().find(|entry| entry.address == address);
    match &known {
        None if !request.has(NLM_F_CREATE) => return Err(Errno::ENOENT.into()),
        Some(_) if request.has(NLM_F_EXCL) => return Err(Errno::EEXIST.into()),
        Some(_) if !request.has(NLM_F_REPLACE) && wanted.hardware.is_some() => {
            return Err(Errno::EEXIST.into());
        }
        _ => {}
    }
    let hardware = wanted.hardware.map(EthernetAddress).or(known.map(|entry| entry.mac));
    let hardware = hardware.ok_or(Error::with(Errno::EINVAL, "the hardware address is missing"))?;
    let is_permanent = wanted.head.ndm_state & (NUD_PERMANENT | NUD_NOARP) != 0;
    link.neighbours.set(&link, address, hardware, is_permanent);
    Ok(Answer::Done)
}

/// RTM_DELNEIGH.
pub fn delete(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let link = link_at(request.namespace(), wanted.head.ndm_ifindex.cast_unsigned())?;
    let address = wanted.address.ok_or(Error::with(Errno::EINVAL, "the address is missing"))?;
    if link.neighbours.forget(address) { Ok(Answer::Done) } else { Err(Errno::ENOENT.into()) }
}

fn write(link: u32, entry: &Entry, body: &mut Body<'_>) {
    let is_known = !matches!(entry.state, State::Incomplete | State::Failed);
    let report = Report {
        link,
        state: entry.state as u16,
        kind: RTN_UNICAST,
        address: entry.address,
        hardware: is_known.then_some(entry.mac.0),
        probes: 0,
        ages: nda_cacheinfo::default(),
    };
    report.write(body);
}
