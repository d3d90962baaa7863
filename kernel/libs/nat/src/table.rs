//! The table: rules, flows, and what becomes of packets.

use crate::flow::{Direction, Flow};
use crate::rewrite::{Sum, Translation, rewrite};
use crate::rule::Rule;
use crate::tuple::{Endpoint, Protocol, Tuple, is_error, parts};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::wire::{Icmpv4Packet, IpProtocol};

/// Ports that masquerading may use.
const PORTS: core::ops::RangeInclusive<u16> = 1024..=u16::MAX;
/// How many of them are tried for one flow.
const TRIES: u32 = 512;
/// Rules of one table.
const MAX_RULES: usize = 4096;
/// How many of the flows that end first are looked at for one to give way.
const EVICTION_SCAN: usize = 16;

/// What the table has to ask.
pub struct Surroundings<'a> {
    /// Nanoseconds on a clock that does not go back.
    pub now_ns: u64,
    /// Whether an address is this machine's.
    pub is_local: &'a dyn Fn(Ipv4Addr) -> bool,
    /// Whether no socket of this machine's has a port.
    pub is_free: &'a dyn Fn(Protocol, Endpoint) -> bool,
    /// Something that nobody can guess, each time anew.
    pub random: &'a dyn Fn() -> u32,
}

impl core::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Surroundings").field("now_ns", &self.now_ns).finish_non_exhaustive()
    }
}

/// What [`Table::arrive`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing: it is nobody's so far.
    Untouched,
    /// It is of a flow, and has its final addresses: [`Table::depart`] is not for it.
    Translated,
    /// It is the first of a flow and goes to a published port's target; this is how it arrived, for [`Table::depart`].
    Redirected(Tuple),
}

/// By where a packet leaves.
pub struct Exit<'a> {
    /// The link's address, to masquerade with.
    pub address: Ipv4Addr,
    /// Whether the link has this name.
    pub is_link: &'a dyn Fn(&str) -> bool,
    /// Whether it goes back by where it came from, so that answers must be made to come this way again.
    pub is_hairpin: bool,
    /// Whether it came from elsewhere.
    pub is_forwarded: bool,
}

impl core::fmt::Debug for Exit<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Exit").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What [`Table::depart`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The packet may go.
    Go,
    /// There is no port or no room for its flow: it must not go.
    Refused,
}

/// Rules and flows.
#[derive(Debug)]
pub struct Table {
    rules: Vec<Rule>,
    flows: BTreeMap<u64, Flow>,
    by_tuple: BTreeMap<Tuple, (u64, Direction)>,
    /// Flows by when they end, as far as was known when they were put here.
    ends: BTreeSet<(u64, u64)>,
    next: u64,
    capacity: usize,
}

impl Table {
    /// A table for at most so many flows.
    pub const fn new(capacity: usize) -> Self {
        Self {
            rules: Vec::new(),
            flows: BTreeMap::new(),
            by_tuple: BTreeMap::new(),
            ends: BTreeSet::new(),
            next: 0,
            capacity,
        }
    }

    /// The rules, in the order in which they were added.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many flows there are.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Whether packets need not be shown to it.
    pub fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.flows.is_empty()
    }

    /// Adds a rule; `false`: it is there already, or there are too many.
    pub fn add(&mut self, rule: Rule) -> bool {
        let is_new = self.rules.len() < MAX_RULES && !self.rules.contains(&rule);
        if is_new {
            self.rules.push(rule);
        }
        is_new
    }

    /// Takes a rule away, with the flows of a published port; `false`: it was not there. Masqueraded flows go on until they end.
    pub fn remove(&mut self, rule: &Rule) -> bool {
        let Some(at) = self.rules.iter().position(|other| other == rule) else { return false };
        self.rules.remove(at);
        if let Rule::Publish { protocol, target, .. } = rule {
            let is_of_it = |flow: &Flow| {
                (flow.original.protocol, flow.reply.source) == (*protocol, *target)
                    && flow.original.destination != *target
            };
            let ids: Vec<u64> =
                self.flows.iter().filter(|(_, flow)| is_of_it(flow)).map(|(id, _)| *id).collect();
            for id in ids {
                self.forget(id);
            }
        }
        true
    }

    /// Where what is for `destination` goes instead.
    pub fn redirection(
        &self,
        protocol: Protocol,
        destination: Endpoint,
        is_local: &dyn Fn(Ipv4Addr) -> bool,
    ) -> Option<Endpoint> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Publish { protocol: of, address, target }
                if *of == protocol
                    && address.port == destination.port
                    && (address.address == destination.address
                        || address.address.is_unspecified() && is_local(destination.address)) =>
            {
                Some(*target)
            }
            _ => None,
        })
    }

    /// Whether nothing is to be forwarded between two links.
    pub fn drops(&self, is_from: &dyn Fn(&str) -> bool, is_to: &dyn Fn(&str) -> bool) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Drop { from, to } if is_from(from) && is_to(to)))
    }

    /// Shows it a whole packet before that is routed.
    pub fn arrive(&mut self, packet: &mut [u8], sum: Sum, around: &Surroundings<'_>) -> Arrival {
        let Some(tuple) = Tuple::of(packet) else { return self.arrive_error(packet, around.now_ns) };
        if let Some((flow, direction)) = self.find(tuple, around.now_ns) {
            flow.note(direction, packet, around.now_ns);
            let new = flow.translation(direction);
            self.requeue(tuple);
            return match rewrite(packet, new, sum) {
                Some(()) => Arrival::Translated,
                None => Arrival::Untouched,
            };
        }
        let Some(target) = self.redirection(tuple.protocol, tuple.destination, around.is_local) else {
            return Arrival::Untouched;
        };
        let new = Translation { source: tuple.source, destination: target };
        match rewrite(packet, new, sum) {
            Some(()) => Arrival::Redirected(tuple),
            None => Arrival::Untouched,
        }
    }

    /// Shows it a packet before that leaves by `exit`, or is delivered (`None`). `arrived`: what [`Self::arrive`] said of it.
    pub fn depart(
        &mut self,
        packet: &mut [u8],
        sum: Sum,
        arrived: Option<Tuple>,
        exit: Option<&Exit<'_>>,
        around: &Surroundings<'_>,
    ) -> Departure {
        let Some(now) = Tuple::of(packet) else { return Departure::Go };
        let original = arrived.unwrap_or(now);
        let source = exit.and_then(|exit| self.source_for(now, arrived.is_some(), exit));
        // Answers to this packet would be taken for another flow's.
        let clashes = self.by_tuple.contains_key(&now.reversed());
        let must_be_known = exit.is_some_and(|exit| self.answers_would_be_masqueraded(now, exit));
        if arrived.is_none() && source.is_none() && !clashes && !must_be_known {
            return Departure::Go;
        }
        let wanted = source.unwrap_or(now.source.address);
        let must_move = wanted != now.source.address || clashes;
        let source = if must_move { self.port_for(now, wanted, around) } else { Some(now.source) };
        let Some(source) = source else { return Departure::Refused };
        let reply = answer_to(now, source);
        if !self.insert(Flow::new(original, reply, packet, around.now_ns), around.now_ns) {
            return Departure::Refused;
        }
        match rewrite(packet, Translation { source, destination: now.destination }, sum) {
            Some(()) => Departure::Go,
            None => Departure::Refused,
        }
    }

    /// Whether somebody outside begins a flow with somebody who is masqueraded: the answers belong to it, and keep their address.
    fn answers_would_be_masqueraded(&self, now: Tuple, exit: &Exit<'_>) -> bool {
        let is_inwards = |rule: &Rule| {
            matches!(rule, Rule::Masquerade { source, .. }
                if source.contains_addr(&now.destination.address) && !source.contains_addr(&now.source.address))
        };
        exit.is_forwarded && self.rules.iter().any(is_inwards)
    }

    /// The address that a new flow is to leave with, if not its own.
    fn source_for(&self, now: Tuple, is_redirected: bool, exit: &Exit<'_>) -> Option<Ipv4Addr> {
        let is_masqueraded = self.rules.iter().any(|rule| {
            matches!(rule, Rule::Masquerade { source, except }
                if source.contains_addr(&now.source.address) && !(exit.is_link)(except))
        });
        let must_return = is_redirected && (exit.is_hairpin || now.source.address.is_loopback());
        let is_wanted = (is_masqueraded || must_return)
            && !exit.address.is_unspecified()
            && now.source.address != exit.address;
        is_wanted.then_some(exit.address)
    }

    /// A port of `address` from which answers come to this flow only: its own, if that is possible (RFC 4787, REQ-1 and REQ-3).
    fn port_for(&self, now: Tuple, address: Ipv4Addr, around: &Surroundings<'_>) -> Option<Endpoint> {
        let is_good = |port: u16| {
            let source = Endpoint::new(address, port);
            let is_own = address == now.source.address && port == now.source.port;
            !self.by_tuple.contains_key(&answer_to(now, source))
                && (is_own || (around.is_free)(now.protocol, source))
        };
        let is_icmp = now.protocol == Protocol::Icmp;
        if (is_icmp || PORTS.contains(&now.source.port)) && is_good(now.source.port) {
            return Some(Endpoint::new(address, now.source.port));
        }
        let count = u32::from(*PORTS.end() - *PORTS.start()) + 1;
        let first = (around.random)() % count;
        let port = (0..TRIES)
            .map(|step| *PORTS.start() + ((first + step) % count) as u16)
            .find(|port| is_good(*port))?;
        Some(Endpoint::new(address, port))
    }

    /// An error that quotes a packet of a flow: the quoted packet gets the addresses that its sender knows, and the error goes to
    /// that sender (RFC 5508, 4.2).
    fn arrive_error(&mut self, packet: &mut [u8], now_ns: u64) -> Arrival {
        const HEADER_LEN: usize = 8;
        let Some((ip, message)) = parts(packet) else { return Arrival::Untouched };
        let is_error =
            ip.next_header() == IpProtocol::Icmp && message.first().is_some_and(|kind| is_error(*kind));
        let Some(quoted) = message.get(HEADER_LEN..).filter(|_| is_error) else {
            return Arrival::Untouched;
        };
        // The quoted packet went the other way.
        let Some(tuple) = Tuple::of(quoted).map(Tuple::reversed) else { return Arrival::Untouched };
        let Some((flow, direction)) = self.find(tuple, now_ns) else { return Arrival::Untouched };
        let inner = flow.translation(direction).reversed();
        let (header_len, from) = (usize::from(ip.header_len()), ip.src_addr());
        // Who was translated is not to be seen by the other side.
        let from = if from == tuple.source.address { inner.destination.address } else { from };
        let Some(message) = packet.get_mut(header_len..) else { return Arrival::Untouched };
        if rewrite(&mut message[HEADER_LEN..], inner, Sum::Whole).is_none() {
            return Arrival::Untouched;
        }
        Icmpv4Packet::new_unchecked(&mut *message).fill_checksum();
        let mut ip = smoltcp::wire::Ipv4Packet::new_unchecked(packet);
        ip.set_src_addr(from);
        ip.set_dst_addr(inner.source.address);
        ip.fill_checksum();
        Arrival::Translated
    }

    /// Lets go of flows that have ended; `true`: there are more.
    pub fn tick(&mut self, now_ns: u64) -> bool {
        while let Some((at, id)) = self.ends.first().copied().filter(|(at, _)| *at <= now_ns) {
            match self.flows.get_mut(&id) {
                // It has lived on since it was queued.
                Some(flow) if flow.due_ns > now_ns => {
                    flow.queued_ns = flow.due_ns;
                    self.ends.remove(&(at, id));
                    let due_ns = flow.due_ns;
                    self.ends.insert((due_ns, id));
                }
                Some(_) => self.forget(id),
                None => {
                    self.ends.remove(&(at, id));
                }
            }
        }
        !self.flows.is_empty()
    }

    fn find(&mut self, tuple: Tuple, now_ns: u64) -> Option<(&mut Flow, Direction)> {
        let (id, direction) = *self.by_tuple.get(&tuple)?;
        if self.flows.get(&id)?.due_ns <= now_ns {
            self.forget(id);
            return None;
        }
        Some((self.flows.get_mut(&id)?, direction))
    }

    /// Puts a flow earlier into the queue if it ends earlier than was known.
    fn requeue(&mut self, tuple: Tuple) {
        let Some((id, _)) = self.by_tuple.get(&tuple).copied() else { return };
        let Some(flow) = self.flows.get_mut(&id) else { return };
        if flow.due_ns < flow.queued_ns {
            self.ends.remove(&(flow.queued_ns, id));
            flow.queued_ns = flow.due_ns;
            self.ends.insert((flow.queued_ns, id));
        }
    }

    fn insert(&mut self, flow: Flow, now_ns: u64) -> bool {
        if let Some((id, _)) = self.by_tuple.get(&flow.original) {
            // An answer's tuple, which nobody else may take; or the flow itself, made a moment ago by the packet before.
            let id = *id;
            let is_same = self.flows.get(&id).is_some_and(|other| other.original == flow.original);
            if !is_same {
                return false;
            }
            self.forget(id);
        }
        if self.by_tuple.contains_key(&flow.reply) {
            return false;
        }
        if self.flows.len() >= self.capacity && !self.evict(now_ns) {
            return false;
        }
        let id = self.next;
        self.next += 1;
        self.by_tuple.insert(flow.original, (id, Direction::Original));
        self.by_tuple.insert(flow.reply, (id, Direction::Reply));
        self.ends.insert((flow.queued_ns, id));
        self.flows.insert(id, flow);
        true
    }

    /// Makes room for one: of the flows that end first, one that is over or has never been answered.
    fn evict(&mut self, now_ns: u64) -> bool {
        self.tick(now_ns);
        if self.flows.len() < self.capacity {
            return true;
        }
        let is_dispensable = |id: &u64| self.flows.get(id).is_none_or(Flow::is_dispensable);
        let first = self.ends.iter().take(EVICTION_SCAN).map(|(_, id)| *id).find(is_dispensable);
        first.inspect(|id| self.forget(*id)).is_some()
    }

    fn forget(&mut self, id: u64) {
        let Some(flow) = self.flows.remove(&id) else { return };
        self.by_tuple.remove(&flow.original);
        self.by_tuple.remove(&flow.reply);
        self.ends.remove(&(flow.queued_ns, id));
    }
}

impl Flow {
    /// The addresses that a packet gets: those of the other direction's, turned round.
    fn translation(&self, direction: Direction) -> Translation {
        Translation::of(match direction {
            Direction::Original => self.reply.reversed(),
            Direction::Reply => self.original.reversed(),
        })
    }
}

/// The tuple of an answer to a packet that leaves as `now`, but from `source`.
fn answer_to(now: Tuple, source: Endpoint) -> Tuple {
    let from = match now.protocol {
        // Both ports are the one identifier.
        Protocol::Icmp => Endpoint::new(now.destination.address, source.port),
        _ => now.destination,
    };
    Tuple { protocol: now.protocol, source: from, destination: source }
}
