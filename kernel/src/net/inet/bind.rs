//! What bind(2) asks of an address, and where something goes: the questions to a network namespace that TCP and UDP share.

use super::options::IpOptions;
use super::port::{Claim, Standing};
use crate::error::{Errno, Error, Result};
use crate::net::Options;
use crate::net::ip::{Hints, Route, RouteKind};
use crate::net::ns::NetNs;
use crate::process::Process;
use crate::process::credentials::Capability;
use coffer_abi_types::net::{SO_REUSEADDR, SO_REUSEPORT};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::RangeInclusive;
use core::sync::atomic::Ordering;

/// The broadcast address of 127/8, on Linux.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

/// Whether `process` may bind a socket to `address`.
///
/// # Errors
/// EADDRNOTAVAIL for an address that is not ours, EACCES for a port that needs a capability.
pub fn check(ns: &NetNs, ip: &IpOptions, address: SocketAddrV4, process: &Process) -> Result<()> {
    let is_ours = |address: Ipv4Addr| {
        address.is_unspecified()
            || address.is_multicast()
            || address.is_broadcast()
            || ns.is_local(address)
            || ns.addresses().iter().any(|of_link| of_link.broadcast == Some(address))
    };
    if !ip.may_bind_foreign && !is_ours(*address.ip()) {
        return Err(Errno::EADDRNOTAVAIL.into());
    }
    let unprivileged = ns.settings.unprivileged_port_start.load(Ordering::Relaxed);
    let is_free = address.port() == 0 || u32::from(address.port()) >= unprivileged;
    if !is_free && !process.credentials().has_in(ns.owner(), Capability::NetBindService) {
        return Err(Errno::EACCES.into());
    }
    Ok(())
}

/// Ports that the kernel chooses from.
pub fn ephemeral_ports(ns: &NetNs) -> RangeInclusive<u16> {
    let [first, last] = &ns.settings.local_ports;
    let port = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let (first, last) = (port(first.load(Ordering::Relaxed)), port(last.load(Ordering::Relaxed)));
    first.max(1)..=last.max(first.max(1))
}

/// What a socket claims of a port.
pub fn claim(options: &Options, link: u32, address: Ipv4Addr, standing: Standing) -> Claim {
    Claim {
        address: if address.is_multicast() || address.is_broadcast() {
            Ipv4Addr::UNSPECIFIED
        } else {
            address
        },
        link,
        uid: options.identity().uid,
        reuse_address: options.is_on(SO_REUSEADDR),
        reuse_port: options.is_on(SO_REUSEPORT),
        standing,
    }
}

/// How to get from a socket, bound to `source` or not, to `to`.
///
/// # Errors
/// ENETUNREACH, EHOSTUNREACH, EACCES.
pub fn route(ns: &NetNs, to: Ipv4Addr, source: Ipv4Addr, link: u32) -> Result<Route> {
    let hints = Hints {
        source: Some(source).filter(|source| !source.is_unspecified()),
        link: Some(link).filter(|link| *link != 0),
    };
    let mut route = ns.route(to, &hints)?;
    if route.destination == LOOPBACK_BROADCAST {
        route.kind = RouteKind::Broadcast;
    }
    // All of 127/8 is one machine, which speaks as 127.0.0.1.
    if source.is_unspecified() && route.destination.is_loopback() {
        route.source = Ipv4Addr::LOCALHOST;
    }
    if route.link.is_loopback() && !route.link.is_up() {
        return Err(Error::new(Errno::ENETUNREACH));
    }
    Ok(route)
}
