//! Address translation in the path of packets: `coffer_nat` has the logic, this is where packets meet it and how it is told what to do.
//!
//! Hooks, in the order in which a packet passes them: [`arrive`] before it is routed, [`output`] for our own, [`may_pass`] and [`depart`]
//! before it leaves, [`settle`] for those that turn out to be for this machine. As long as there are no rules and no flows, each is one load.
//!
//! Control is `/proc/net/coffer/nat` of the namespace: reading gives the rules, one a line; `add RULE` and `del RULE` lines, written with
//! CAP_NET_ADMIN, change them.

use super::ip::{Hints, Route};
use super::link::Link;
use super::ns::NetNs;
use super::packet::{Checksum, Packet, Tracking};
use super::timers;
use crate::error::{Errno, Error, Result};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use coffer_nat::{Arrival, Departure, Endpoint, Exit, Protocol, Rule, Sum, Surroundings, Table};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::sync::SpinLock;
use smoltcp::wire::IpProtocol;

/// Flows of one namespace at most, one for so many bytes of the machine's memory (as Linux has it); each takes some 400.
const MAX_FLOWS: usize = 65536;
const BYTES_PER_FLOW: usize = 16384;

/// A namespace's rules and flows.
#[derive(Debug)]
pub struct Nat {
    table: SpinLock<Table>,
    is_active: AtomicBool,
    /// Whether there are `drop` rules, and what they mean to pairs of links, as of a generation of the namespace.
    has_drops: AtomicBool,
    drops: SpinLock<Drops>,
}

#[derive(Debug, Default)]
struct Drops {
    generation: u64,
    pairs: BTreeMap<(u32, u32), bool>,
}

impl Default for Nat {
    fn default() -> Self {
        Self {
            table: SpinLock::new(Table::new(capacity())),
            is_active: AtomicBool::new(false),
            has_drops: AtomicBool::new(false),
            drops: SpinLock::default(),
        }
    }
}

fn capacity() -> usize {
    (ostd::mm::stats().total * ostd::mm::PAGE_SIZE / BYTES_PER_FLOW).clamp(1024, MAX_FLOWS)
}

impl Nat {
    /// Whether packets must be shown to it.
    pub fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Acquire)
    }

    fn note(&self, table: &Table) {
        self.is_active.store(!table.is_idle(), Ordering::Release);
        let has_drops = table.rules().iter().any(|rule| matches!(rule, Rule::Drop { .. }));
        self.has_drops.store(has_drops, Ordering::Release);
    }
}

/// The rules, one a line.
pub fn show(namespace: &NetNs) -> String {
    let table = namespace.nat.table.lock();
    table.rules().iter().map(|rule| rule.to_string() + "\n").collect()
}

/// Takes `add RULE` and `del RULE` lines, up to the first that is wrong.
///
/// # Errors
/// EINVAL for a line that is neither; EEXIST, ENOENT; ENOSPC for too many rules.
pub fn control(namespace: &NetNs, text: &str) -> Result<()> {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (verb, rule) = line.split_once(' ').ok_or(Errno::EINVAL)?;
        let rule: Rule = rule.parse().map_err(|_| Error::with(Errno::EINVAL, "not a rule"))?;
        let mut table = namespace.nat.table.lock();
        let (is_done, errno) = match verb {
            "add" if table.rules().contains(&rule) => (false, Errno::EEXIST),
            "add" => (table.add(rule), Errno::ENOSPC),
            "del" => (table.remove(&rule), Errno::ENOENT),
            _ => (false, Errno::EINVAL),
        };
        if !is_done {
            return Err(errno.into());
        }
        namespace.nat.note(&table);
        drop(table);
        namespace.nat.drops.lock().pairs.clear();
    }
    Ok(())
}

/// Lets go of flows that have ended; `true`: there are more.
pub fn tick(namespace: &NetNs) -> bool {
    if !namespace.nat.is_active() {
        return false;
    }
    let mut table = namespace.nat.table.lock();
    let is_pending = table.tick(ostd::timer::now_ns());
    namespace.nat.note(&table);
    is_pending
}

impl NetNs {
    /// Whether what goes to `address` is sent elsewhere by a `publish` rule: then it must go as packets, even to an address of ours.
    pub fn translates_local(&self, protocol: IpProtocol, address: SocketAddrV4) -> bool {
        let protocol = match protocol {
            _ if !self.nat.is_active() => return false,
            IpProtocol::Tcp => Protocol::Tcp,
            IpProtocol::Udp => Protocol::Udp,
            _ => return false,
        };
        let destination = Endpoint::new(*address.ip(), address.port());
        let is_local = |address| self.is_local(address);
        self.nat.table.lock().redirection(protocol, destination, &is_local).is_some()
    }
}

/// Shows a whole packet that has come in, before it is routed.
pub fn arrive(namespace: &NetNs, packet: &mut Packet) {
    if packet.tracking != Tracking::Unseen {
        return;
    }
    let sum = sum_of(packet);
    let arrival = ask(namespace, |table, around| table.arrive(packet.bytes_mut(), sum, around));
    packet.tracking = match arrival {
        Arrival::Untouched => Tracking::Unseen,
        Arrival::Translated => Tracking::Done,
        Arrival::Redirected(tuple) => Tracking::Redirected(tuple),
    };
}

/// Whether a packet may be forwarded from one link to another.
pub fn may_pass(namespace: &NetNs, from: &Link, to: &Link) -> bool {
    let nat = &namespace.nat;
    if !nat.has_drops.load(Ordering::Acquire) {
        return true;
    }
    let (generation, pair) = (namespace.generation(), (from.index(), to.index()));
    {
        let mut drops = nat.drops.lock();
        if drops.generation != generation {
            drops.generation = generation;
            drops.pairs.clear();
        }
        if let Some(is_dropped) = drops.pairs.get(&pair) {
            return !is_dropped;
        }
    }
    let (from, to) = (from.name(), to.name());
    let is_dropped = nat.table.lock().drops(&|name| name == from, &|name| name == to);
    let mut drops = nat.drops.lock();
    if drops.generation == generation {
        drops.pairs.insert(pair, is_dropped);
    }
    !is_dropped
}

/// Shows a packet that is about to leave by `route`; `false`: it must not.
pub fn depart(namespace: &NetNs, route: &Route, packet: &mut Packet) -> bool {
    if !namespace.nat.is_active() || packet.tracking == Tracking::Done {
        return true;
    }
    let link = &route.link;
    let exit = Exit {
        address: namespace.source_on(link.index(), route.next_hop()),
        is_link: &|name| link.has_name(name),
        is_hairpin: packet.link.as_ref().is_some_and(|from| Arc::ptr_eq(from, link)),
        is_forwarded: packet.link.is_some(),
    };
    end(namespace, packet, (!link.is_loopback()).then_some(&exit))
}

/// Shows a packet that turned out to be for this machine; `false`: it must not be delivered.
pub fn settle(namespace: &NetNs, packet: &mut Packet) -> bool {
    !matches!(packet.tracking, Tracking::Redirected(_)) || end(namespace, packet, None)
}

fn end(namespace: &NetNs, packet: &mut Packet, exit: Option<&Exit<'_>>) -> bool {
    let arrived = match packet.tracking {
        Tracking::Redirected(tuple) => Some(tuple),
        _ => None,
    };
    // A flow is the kernel's memory at a stranger's wish.
    if ostd::mm::is_exhausted() {
        return false;
    }
    let sum = sum_of(packet);
    let departure =
        ask(namespace, |table, around| table.depart(packet.bytes_mut(), sum, arrived, exit, around));
    packet.tracking = Tracking::Done;
    // Flows may have begun; they end by time.
    timers::request();
    departure == Departure::Go
}

/// Shows a packet of our own, before it leaves by `route`: what a rule sends elsewhere gets another route.
///
/// # Errors
/// As [`NetNs::route`].
pub fn output(namespace: &Arc<NetNs>, packet: &mut Packet) -> Result<Option<Route>> {
    if !namespace.nat.is_active() || packet.tracking != Tracking::Unseen {
        return Ok(None);
    }
    let before = packet.ip().dst_addr();
    arrive(namespace, packet);
    let now = packet.ip().dst_addr();
    if now == before { Ok(None) } else { namespace.route(now, &Hints::default()).map(Some) }
}

fn ask<R>(namespace: &NetNs, question: impl FnOnce(&mut Table, &Surroundings<'_>) -> R) -> R {
    let around = Surroundings {
        now_ns: ostd::timer::now_ns(),
        is_local: &|address: Ipv4Addr| namespace.is_local(address),
        is_free: &|protocol, source| match protocol {
            Protocol::Tcp => !namespace.inet.tcp.ports.is_held(source.address, source.port),
            Protocol::Udp => !namespace.inet.udp.ports.is_held(source.address, source.port),
            Protocol::Icmp => true,
        },
        random: &|| {
            let mut bytes = [0; 4];
            crate::random::fill(&mut bytes);
            u32::from_ne_bytes(bytes)
        },
    };
    question(&mut namespace.nat.table.lock(), &around)
}

fn sum_of(packet: &Packet) -> Sum {
    match packet.checksum {
        Checksum::Partial { .. } => Sum::PseudoHeader,
        _ => Sum::Whole,
    }
}
