//! Neighbours: which Ethernet address has which IP address on a link, by ARP (RFC 826), with the states of RFC 4861, 7.3.2.
//!
//! Everything that strangers can make grow is bounded: entries of a link, packets that wait for an answer. Entries are made by who wants to
//! send, or by who asks for us; other news only refreshes what there is.

use super::Link;
use crate::net::ip::icmp;
use crate::net::ns::NetNs;
use crate::net::packet::Packet;
use crate::net::timers;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use ostd::sync::SpinLock;
use ostd::timer::now_ns;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

const SECOND_NS: u64 = 1_000_000_000;
/// How long an answer is believed without asking again (Linux's base_reachable_time).
const REACHABLE_NS: u64 = 30 * SECOND_NS;
/// How long a stale one is used before it is asked (DELAY_FIRST_PROBE_TIME).
const DELAY_NS: u64 = 5 * SECOND_NS;
/// Questions without an answer before the neighbour is given up, one a second.
const MAX_PROBES: u8 = 3;
/// How long a failure is remembered.
const FAILED_NS: u64 = 3 * SECOND_NS;
/// Entries of one link.
const MAX_ENTRIES: usize = 1024;
/// Packets, and their bytes, that wait for one neighbour's answer.
const MAX_WAITING: usize = 64;
const MAX_WAITING_BYTES: usize = 256 << 10;

/// What is known of a neighbour (NUD_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum State {
    /// Asked, not answered.
    Incomplete = 0x01,
    /// Answered lately.
    Reachable = 0x02,
    /// Answered some time ago.
    Stale = 0x04,
    /// Used since: to be asked soon.
    Delay = 0x08,
    /// Being asked again.
    Probe = 0x10,
    /// No answer.
    Failed = 0x20,
    /// Set by hand.
    Permanent = 0x80,
}

/// A neighbour, as rtnetlink shows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its IP address.
    pub address: Ipv4Addr,
    /// Its Ethernet address; all zeros if it is not known.
    pub mac: EthernetAddress,
    /// What is known.
    pub state: State,
}

/// The neighbours on one link.
#[derive(Debug, Default)]
pub struct Neighbours(SpinLock<BTreeMap<Ipv4Addr, Neighbour>>);

#[derive(Debug)]
struct Neighbour {
    state: State,
    mac: EthernetAddress,
    /// When the state ends; for the stale, when it was used last.
    due_ns: u64,
    probes: u8,
    waiting: VecDeque<Packet>,
    waiting_bytes: usize,
}

impl Neighbour {
    fn new(state: State, mac: EthernetAddress, due_ns: u64) -> Self {
        Self { state, mac, due_ns, probes: 0, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// Keeps a packet until there is an answer; the oldest go where there are too many.
    fn keep(&mut self, packet: Packet) -> usize {
        let mut dropped = 0;
        self.waiting_bytes += packet.footprint();
        if self.waiting.try_reserve(1).is_err() {
            return 1;
        }
        self.waiting.push_back(packet);
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(oldest.footprint());
            dropped += 1;
        }
        dropped
    }

    fn take_waiting(&mut self) -> VecDeque<Packet> {
        self.waiting_bytes = 0;
        core::mem::take(&mut self.waiting)
    }
}

/// The packet back with the address to send it to; or `None`: it waits for an answer.
pub(super) fn resolve(
    link: &Arc<Link>,
    packet: Packet,
    next_hop: Ipv4Addr,
) -> Option<(Packet, EthernetAddress)> {
    if next_hop.is_multicast() {
        // RFC 1112, 6.4.
        let [_, b, c, d] = next_hop.octets();
        return Some((packet, EthernetAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d])));
    }
    let is_for_all = || {
        let namespace = link.namespace();
        namespace.is_some_and(|namespace| namespace.is_broadcast_on(next_hop, link.index()))
    };
    let now_ns = now_ns();
    let mut table = link.neighbours.0.lock();
    match table.get_mut(&next_hop) {
        Some(neighbour) => match neighbour.state {
            State::Permanent | State::Probe | State::Delay => return Some((packet, neighbour.mac)),
            State::Reachable if now_ns < neighbour.due_ns => return Some((packet, neighbour.mac)),
            State::Reachable | State::Stale => {
                neighbour.state = State::Delay;
                neighbour.due_ns = now_ns + DELAY_NS;
                let mac = neighbour.mac;
                drop(table);
                timers::request();
                return Some((packet, mac));
            }
            State::Incomplete => {
                let dropped = neighbour.keep(packet);
                (0..dropped).for_each(|_| link.counters.drop_sent());
                return None;
            }
            State::Failed if now_ns < neighbour.due_ns => {
                drop(table);
                give_up(link, &packet);
                return None;
            }
            State::Failed => {}
        },
        None => {
            drop(table);
            if is_for_all() {
                return Some((packet, EthernetAddress::BROADCAST));
            }
            table = link.neighbours.0.lock();
        }
    }
    make_room(&mut table);
    let neighbour = table
        .entry(next_hop)
        .or_insert_with(|| Neighbour::new(State::Incomplete, EthernetAddress([0; 6]), 0));
    neighbour.state = State::Incomplete;
    neighbour.due_ns = now_ns + SECOND_NS;
    neighbour.probes = 1;
    neighbour.keep(packet);
    drop(table);
    timers::request();
    ask(link, next_hop, EthernetAddress::BROADCAST);
    None
}

/// Sees to it that one more entry fits: the longest unused of those that can be asked for again go.
fn make_room(table: &mut BTreeMap<Ipv4Addr, Neighbour>) {
    if table.len() < MAX_ENTRIES {
        return;
    }
    let of_use = |neighbour: &Neighbour| match neighbour.state {
        State::Failed => 0,
        State::Stale => 1,
        State::Incomplete => 2,
        State::Reachable | State::Delay | State::Probe => 3,
        State::Permanent => 4,
    };
    let least = table.iter().min_by_key(|(_, neighbour)| (of_use(neighbour), neighbour.due_ns));
    if let Some((address, neighbour)) = least
        && neighbour.state != State::Permanent
    {
        let address = *address;
        table.remove(&address);
    }
}

/// Nobody is there: whoever sent the packet learns of it.
fn give_up(link: &Arc<Link>, packet: &Packet) {
    link.counters.drop_sent();
    if let Some(namespace) = link.namespace() {
        icmp::host_unreachable(&namespace, packet);
    }
}

/// Asks who has `address`.
fn ask(link: &Arc<Link>, address: Ipv4Addr, to: EthernetAddress) {
    let Some(namespace) = link.namespace() else { return };
    let source = namespace.source_on(link.index(), address);
    send(link, ArpOperation::Request, to, (source, address), EthernetAddress([0; 6]));
}

/// Tells everybody on the link that `address` is ours (RFC 5227, 3).
pub fn announce(link: &Arc<Link>, address: Ipv4Addr) {
    if !link.is_loopback() && !address.is_loopback() {
        let nobody = EthernetAddress([0; 6]);
        send(link, ArpOperation::Request, EthernetAddress::BROADCAST, (address, address), nobody);
    }
}

fn send(
    link: &Arc<Link>,
    operation: ArpOperation,
    to: EthernetAddress,
    (source, target): (Ipv4Addr, Ipv4Addr),
    target_mac: EthernetAddress,
) {
    let message = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: link.mac(),
        source_protocol_addr: source,
        target_hardware_addr: target_mac,
        target_protocol_addr: target,
    };
    let Ok(mut packet) = Packet::zeroed(message.buffer_len()) else { return };
    message.emit(&mut ArpPacket::new_unchecked(packet.bytes_mut()));
    link.send_to(packet, to, EthernetProtocol::Arp);
}

/// Takes an ARP packet; its window starts after the Ethernet header.
pub(super) fn input(namespace: &Arc<NetNs>, link: &Arc<Link>, packet: &Packet) {
    let message = ArpPacket::new_checked(packet.bytes()).and_then(|packet| ArpRepr::parse(&packet));
    let Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: source,
        target_protocol_addr: target,
        ..
    }) = message
    else {
        link.counters.drop_received();
        return;
    };
    let is_sane = mac.is_unicast()
        && mac != link.mac()
        && !source.is_multicast()
        && !source.is_broadcast()
        && !source.is_loopback();
    if !is_sane {
        return;
    }
    let is_for_us = !target.is_loopback() && namespace.is_local(target);
    let is_request = operation == ArpOperation::Request;
    // A probe (RFC 5227) has no address yet: there is nothing to learn from it.
    if !source.is_unspecified() && !namespace.is_local(source) {
        let is_answer = operation == ArpOperation::Reply && is_for_us;
        learn(link, source, mac, is_answer, is_request && is_for_us);
    }
    if is_request && is_for_us {
        send(link, ArpOperation::Reply, mac, (target, source), mac);
    }
}

/// Notes an address; whoever waited for it goes out.
fn learn(link: &Arc<Link>, address: Ipv4Addr, mac: EthernetAddress, is_answer: bool, may_create: bool) {
    let now_ns = now_ns();
    let mut table = link.neighbours.0.lock();
    if !table.contains_key(&address) {
        if !may_create {
            return;
        }
        make_room(&mut table);
        table.insert(address, Neighbour::new(State::Stale, mac, now_ns));
        return;
    }
    let Some(neighbour) = table.get_mut(&address) else { return };
    if neighbour.state == State::Permanent {
        return;
    }
    let was_waiting = matches!(neighbour.state, State::Incomplete | State::Probe | State::Delay);
    if is_answer && was_waiting || neighbour.state == State::Incomplete {
        neighbour.state = State::Reachable;
        neighbour.due_ns = now_ns + REACHABLE_NS;
    } else if neighbour.mac != mac || neighbour.state == State::Failed {
        neighbour.state = State::Stale;
        neighbour.due_ns = now_ns;
    }
    neighbour.mac = mac;
    neighbour.probes = 0;
    let waiting = neighbour.take_waiting();
    drop(table);
    for packet in waiting {
        link.send_to(packet, mac, EthernetProtocol::Ipv4);
    }
}

/// Asks again, gives up. Called each second as long as it returns `true`.
pub(in crate::net) fn tick(link: &Arc<Link>) -> bool {
    let now_ns = now_ns();
    let (mut questions, mut lost, mut is_pending) = (Vec::new(), Vec::new(), false);
    let mut table = link.neighbours.0.lock();
    for (address, neighbour) in table.iter_mut() {
        let is_due = now_ns >= neighbour.due_ns;
        match neighbour.state {
            State::Incomplete | State::Probe if is_due && neighbour.probes >= MAX_PROBES => {
                neighbour.state = State::Failed;
                neighbour.due_ns = now_ns + FAILED_NS;
                lost.extend(neighbour.take_waiting());
            }
            State::Incomplete | State::Probe if is_due => {
                neighbour.probes += 1;
                neighbour.due_ns = now_ns + SECOND_NS;
                let to =
                    if neighbour.state == State::Probe { neighbour.mac } else { EthernetAddress::BROADCAST };
                questions.push((*address, to));
            }
            State::Delay if is_due => {
                neighbour.state = State::Probe;
                neighbour.probes = 1;
                neighbour.due_ns = now_ns + SECOND_NS;
                questions.push((*address, neighbour.mac));
            }
            _ => {}
        }
        is_pending |= matches!(neighbour.state, State::Incomplete | State::Delay | State::Probe);
    }
    drop(table);
    for (address, to) in questions {
        ask(link, address, to);
    }
    for packet in lost {
        give_up(link, &packet);
    }
    is_pending
}

impl Neighbours {
    /// All of them.
    pub fn entries(&self) -> Vec<Entry> {
        let now_ns = now_ns();
        let table = self.0.lock();
        let entries = table.iter().map(|(address, neighbour)| {
            let state = match neighbour.state {
                State::Reachable if now_ns >= neighbour.due_ns => State::Stale,
                state => state,
            };
            Entry { address: *address, mac: neighbour.mac, state }
        });
        entries.collect()
    }

    /// Sets one by hand (RTM_NEWNEIGH); `is_permanent`: it is never asked.
    pub fn set(&self, link: &Arc<Link>, address: Ipv4Addr, mac: EthernetAddress, is_permanent: bool) {
        let state = if is_permanent { State::Permanent } else { State::Stale };
        let mut table = self.0.lock();
        make_room(&mut table);
        let neighbour = table.entry(address).or_insert_with(|| Neighbour::new(state, mac, now_ns()));
        (neighbour.state, neighbour.mac) = (state, mac);
        let waiting = neighbour.take_waiting();
        drop(table);
        for packet in waiting {
            link.send_to(packet, mac, EthernetProtocol::Ipv4);
        }
    }

    /// Forgets one (RTM_DELNEIGH); `false`: it was not there.
    pub fn forget(&self, address: Ipv4Addr) -> bool {
        let gone = self.0.lock().remove(&address);
        gone.is_some()
    }

    /// Forgets all.
    pub(super) fn forget_all(&self) {
        let gone = core::mem::take(&mut *self.0.lock());
        drop(gone);
    }
}
