//! What a network namespace knows of UDP: who has which port, and whom a datagram is for.

use super::endpoint::{Datagram, Endpoint};
use crate::net::inet::port::{Ports, Protocol};
use crate::net::ns::NetNs;
use crate::net::report::Report;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::SO_REUSEPORT;
use core::net::{Ipv4Addr, SocketAddrV4};
use ostd::sync::SpinLock;

/// See the module.
#[derive(Debug)]
pub struct Tables {
    /// Who has which port.
    pub ports: Arc<Ports>,
    /// By port, in the order in which they came.
    bound: SpinLock<BTreeMap<u16, Vec<Arc<Endpoint>>>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self { ports: Ports::new(Protocol::Udp), bound: SpinLock::default() }
    }
}

impl Tables {
    pub(super) fn add(&self, port: u16, endpoint: &Arc<Endpoint>) {
        self.bound.lock().entry(port).or_default().push(endpoint.clone());
    }

    pub(super) fn remove(&self, port: u16, endpoint: &Endpoint) {
        let mut bound = self.bound.lock();
        let Some(of_port) = bound.get_mut(&port) else { return };
        let at = of_port.iter().position(|other| core::ptr::eq(&raw const **other, endpoint));
        let gone = at.map(|at| of_port.remove(at));
        if of_port.is_empty() {
            bound.remove(&port);
        }
        drop(bound);
        drop(gone);
    }

    /// Whom a datagram is for: the socket that names most of its addresses; among equals the last one, or, with SO_REUSEPORT, always the same for
    /// the same sender.
    pub fn find(&self, from: SocketAddrV4, to: SocketAddrV4, link: u32) -> Option<Arc<Endpoint>> {
        let bound = self.bound.lock();
        let of_port = bound.get(&to.port())?;
        let mut best: Option<(u8, &Arc<Endpoint>)> = None;
        let mut equals = 0_usize;
        for endpoint in of_port {
            let Some(score) = endpoint.score(from, *to.ip(), link) else { continue };
            match best {
                Some((other, _)) if other > score => {}
                Some((other, _)) if other == score => {
                    equals += 1;
                    best = Some((score, endpoint));
                }
                _ => {
                    equals = 1;
                    best = Some((score, endpoint));
                }
            }
        }
        let (score, last) = best?;
        if equals == 1 || !last.options.is_on(SO_REUSEPORT) {
            return Some(last.clone());
        }
        let turn = (from.ip().to_bits() ^ u32::from(from.port()).wrapping_mul(0x9e37_79b1)) as usize % equals;
        let is_equal = |endpoint: &&Arc<Endpoint>| endpoint.score(from, *to.ip(), link) == Some(score);
        of_port.iter().filter(is_equal).nth(turn).cloned()
    }

    /// All that a datagram to a group or to everybody is for.
    pub fn find_all(&self, from: SocketAddrV4, to: SocketAddrV4, link: u32) -> Vec<Arc<Endpoint>> {
        let bound = self.bound.lock();
        let Some(of_port) = bound.get(&to.port()) else { return Vec::new() };
        let is_for = |endpoint: &&Arc<Endpoint>| {
            endpoint.score(from, *to.ip(), link).is_some()
                && (!to.ip().is_multicast() || endpoint.ip.lock().takes_group(*to.ip(), link))
        };
        of_port.iter().filter(is_for).cloned().collect()
    }

    /// The socket that has sent from `local` to `remote`.
    pub fn find_sender(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<Arc<Endpoint>> {
        self.find(remote, local, 0)
    }
}

impl NetNs {
    /// Gives a datagram to whom it is for; `false` if that is nobody.
    pub(super) fn deliver_datagram(&self, datagram: Datagram, to: SocketAddrV4, to_all: bool) -> bool {
        let tables = &self.inet.udp;
        let (from, link) = (datagram.from, datagram.link);
        if to_all {
            for endpoint in tables.find_all(from, to, link) {
                endpoint.deliver(datagram.clone());
            }
            return true;
        }
        let Some(endpoint) = tables.find(from, to, link) else { return false };
        endpoint.deliver(datagram);
        true
    }
}

/// All UDP sockets of a namespace that have a port.
pub fn report(ns: &NetNs) -> Vec<Report> {
    let endpoints: Vec<Arc<Endpoint>> = ns.inet.udp.bound.lock().values().flatten().cloned().collect();
    endpoints.iter().map(|endpoint| endpoint.report()).collect()
}

/// Whether a datagram to `address` goes to more than one socket.
pub fn is_for_all(address: Ipv4Addr) -> bool {
    address.is_multicast() || address.is_broadcast()
}
