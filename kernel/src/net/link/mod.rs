//! Links (network interfaces, netdevice(7)): what they have in common is [`Link`], what tells them apart its [`Device`].
//!
//! A link lives in one namespace, which holds it; it knows that namespace weakly and can be moved. IP packets leave by [`Link::send_ip`],
//! frames by [`Link::send_frame`]; both come in by [`Link::receive`]. All in task context with no spin lock held.

pub mod bridge;
pub mod change;
pub mod counters;
pub mod dummy;
pub mod ethernet;
pub mod flags;
pub mod frame;
pub mod loopback;
mod merge;
pub mod neighbour;
pub mod segment;
pub mod veth;

pub use counters::Counters;
pub use neighbour::Neighbours;

use super::ip;
use super::ns::NetNs;
use super::packet::Packet;
use super::packet_socket::{self, Sight};
use crate::error::{Errno, Result};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use bridge::Bridge;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ethernet::Hardware;
use ostd::sync::SpinLock;
use smoltcp::wire::{EthernetAddress, EthernetProtocol};
use veth::Veth;

/// Bytes of a link's name, its NUL included.
pub const NAME_LEN: usize = 16;
/// The MTU of Ethernet.
const ETHERNET_MTU: u32 = 1500;
/// The least MTU of a link that carries IPv4 (RFC 791), and the most that an IP packet's length can say.
const MTU_LIMITS: (u32, u32) = (68, 65535);

/// What kind of link it is, and what that kind keeps.
#[derive(Debug)]
pub enum Device {
    /// `lo`: everything comes back.
    Loopback,
    /// Hardware.
    Ethernet(Hardware),
    /// One end of a cable whose other end is a link as well.
    Veth(Veth),
    /// A switch with ports.
    Bridge(Bridge),
    /// Takes everything and gives nothing.
    Dummy,
}

/// A link.
#[derive(Debug)]
pub struct Link {
    device: Device,
    index: AtomicU32,
    flags: AtomicU32,
    mtu: AtomicU32,
    mac: AtomicU64,
    /// How many want all frames that pass by, whomever they are for.
    eavesdroppers: AtomicU32,
    /// Whether user space chose the address (NET_ADDR_SET).
    has_own_mac: AtomicBool,
    identity: SpinLock<Identity>,
    /// Who is at which address on it.
    pub neighbours: Neighbours,
    /// What went through.
    pub counters: Counters,
}

/// What is asked for seldom.
#[derive(Debug, Default)]
struct Identity {
    name: String,
    alias: String,
    namespace: Weak<NetNs>,
    master: Weak<Link>,
    queue_len: u32,
}

impl Link {
    fn new(device: Device, name: String, flags: u32, mtu: u32, mac: EthernetAddress) -> Arc<Self> {
        let identity = Identity { name, queue_len: 1000, ..Identity::default() };
        Arc::new(Self {
            device,
            index: AtomicU32::new(0),
            flags: AtomicU32::new(flags),
            mtu: AtomicU32::new(mtu),
            mac: AtomicU64::new(mac_to_bits(mac)),
            eavesdroppers: AtomicU32::new(0),
            has_own_mac: AtomicBool::new(false),
            identity: SpinLock::new(identity),
            neighbours: Neighbours::default(),
            counters: Counters::default(),
        })
    }

    /// What kind it is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// IFLA_INFO_KIND; `None` for loopback and hardware.
    pub fn kind(&self) -> Option<&'static str> {
        match self.device {
            Device::Loopback | Device::Ethernet(_) => None,
            Device::Veth(_) => Some("veth"),
            Device::Bridge(_) => Some("bridge"),
            Device::Dummy => Some("dummy"),
        }
    }

    /// ARPHRD_*.
    pub fn hardware_type(&self) -> u16 {
        match self.device {
            Device::Loopback => flags::ARPHRD_LOOPBACK,
            _ => flags::ARPHRD_ETHER,
        }
    }

    /// Its number in its namespace, from 1.
    pub fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    pub(super) fn set_index(&self, index: u32) {
        self.index.store(index, Ordering::Relaxed);
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.identity.lock().name.clone()
    }

    /// Whether that is its name.
    pub fn has_name(&self, name: &str) -> bool {
        self.identity.lock().name == name
    }

    pub(super) fn set_name(&self, name: String) {
        self.identity.lock().name = name;
    }

    /// IFLA_IFALIAS; empty: none.
    pub fn alias(&self) -> String {
        self.identity.lock().alias.clone()
    }

    /// Sets [`Self::alias`].
    pub fn set_alias(&self, alias: String) {
        self.identity.lock().alias = alias;
    }

    /// IFLA_TXQLEN. A number that is remembered only: queues here are bounded in bytes.
    pub fn queue_len(&self) -> u32 {
        self.identity.lock().queue_len
    }

    /// Sets [`Self::queue_len`].
    pub fn set_queue_len(&self, len: u32) {
        self.identity.lock().queue_len = len;
    }

    /// The namespace that it is in; `None` while that goes away.
    pub fn namespace(&self) -> Option<Arc<NetNs>> {
        self.identity.lock().namespace.upgrade()
    }

    pub(super) fn set_namespace(&self, namespace: Weak<NetNs>) {
        self.identity.lock().namespace = namespace;
    }

    /// The bridge that it is a port of.
    pub fn master(&self) -> Option<Arc<Link>> {
        self.identity.lock().master.upgrade()
    }

    fn set_master(&self, master: Weak<Link>) {
        self.identity.lock().master = master;
    }

    /// The other end of a veth pair (IFLA_LINK).
    pub fn peer(&self) -> Option<Arc<Link>> {
        match &self.device {
            Device::Veth(veth) => veth.peer(),
            _ => None,
        }
    }

    /// IFF_*, as user space is shown them.
    pub fn flags(&self) -> u32 {
        let flags = self.flags.load(Ordering::Relaxed);
        if flags & flags::IFF_UP != 0 && self.has_carrier() {
            flags | flags::IFF_RUNNING | flags::IFF_LOWER_UP
        } else {
            flags
        }
    }

    /// Changes flags: those of `mask` become `value`'s; returns what they were. Use [`NetNs::set_link_flags`].
    pub(super) fn change_flags(&self, value: u32, mask: u32) -> u32 {
        let change = |flags| Some(flags & !mask | value & mask);
        self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).unwrap_or_default()
    }

    /// Whether it was brought up.
    pub fn is_up(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & flags::IFF_UP != 0
    }

    /// Whether it is the loopback link.
    pub fn is_loopback(&self) -> bool {
        matches!(self.device, Device::Loopback)
    }

    /// Whether something is at the other end.
    pub fn has_carrier(&self) -> bool {
        match &self.device {
            Device::Loopback | Device::Dummy => true,
            Device::Ethernet(hardware) => hardware.has_carrier(),
            Device::Veth(veth) => veth.peer().is_some_and(|peer| peer.is_up()),
            Device::Bridge(bridge) => bridge.has_carrier(),
        }
    }

    /// The longest IP packet that it carries.
    pub fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Relaxed)
    }

    /// The smallest and the largest [`Self::mtu`] that it can have.
    pub fn mtu_limits(&self) -> (u32, u32) {
        match &self.device {
            Device::Loopback => (0, i32::MAX as u32),
            Device::Ethernet(hardware) => (MTU_LIMITS.0, hardware.max_mtu()),
            Device::Veth(_) | Device::Bridge(_) => MTU_LIMITS,
            // As Linux: unlimited, which it shows as zero.
            Device::Dummy => (0, 0),
        }
    }

    /// Sets [`Self::mtu`].
    ///
    /// # Errors
    /// EINVAL outside of [`Self::mtu_limits`].
    pub fn set_mtu(&self, mtu: u32) -> Result<()> {
        let (least, most) = self.mtu_limits();
        if mtu < least || most != 0 && mtu > most {
            return Err(Errno::EINVAL.into());
        }
        self.mtu.store(mtu, Ordering::Relaxed);
        Ok(())
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> EthernetAddress {
        let [_, _, mac @ ..] = self.mac.load(Ordering::Relaxed).to_be_bytes();
        EthernetAddress(mac)
    }

    /// Sets [`Self::mac`].
    ///
    /// # Errors
    /// EADDRNOTAVAIL for an address that is nobody's own; EOPNOTSUPP where it cannot be changed.
    pub fn set_mac(&self, mac: EthernetAddress) -> Result<()> {
        if !mac.is_unicast() || mac.0 == [0; 6] {
            return Err(Errno::EADDRNOTAVAIL.into());
        }
        match &self.device {
            Device::Loopback => return Err(Errno::EOPNOTSUPP.into()),
            Device::Ethernet(hardware) => hardware.set_mac(mac)?,
            Device::Veth(_) | Device::Bridge(_) | Device::Dummy => {}
        }
        self.store_mac(mac);
        self.has_own_mac.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn store_mac(&self, mac: EthernetAddress) {
        self.mac.store(mac_to_bits(mac), Ordering::Relaxed);
    }
}

/// Packets.
impl Link {
    /// Sends an IP packet to `next_hop`, which is on this link. What cannot be sent is dropped and counted.
    pub fn send_ip(self: &Arc<Self>, packet: Packet, next_hop: Ipv4Addr) {
        if !self.is_up() {
            self.counters.drop_sent();
            return;
        }
        if self.is_loopback() {
            loopback::transmit(self, packet);
        } else if matches!(self.device, Device::Dummy) {
            self.send_to(packet, self.mac(), EthernetProtocol::Ipv4);
        } else if let Some((packet, mac)) = neighbour::resolve(self, packet, next_hop) {
            self.send_to(packet, mac, EthernetProtocol::Ipv4);
        }
    }

    /// Puts an Ethernet header on a packet and sends it.
    pub fn send_to(
        self: &Arc<Self>,
        mut packet: Packet,
        destination: EthernetAddress,
        protocol: EthernetProtocol,
    ) {
        match frame::push_header(&mut packet, self.mac(), destination, protocol) {
            Ok(()) => self.send_frame(packet),
            Err(_) => self.counters.drop_sent(),
        }
    }

    /// Sends a frame: a packet whose window starts at its Ethernet header.
    pub fn send_frame(self: &Arc<Self>, packet: Packet) {
        if !self.is_up() {
            self.counters.drop_sent();
            return;
        }
        if !self.is_loopback() {
            packet_socket::show(self, &packet, Sight::Leaving);
        }
        match &self.device {
            Device::Loopback => loopback::transmit_frame(self, packet),
            Device::Ethernet(hardware) => hardware.send(self, packet),
            Device::Veth(veth) => veth.send(self, packet),
            Device::Bridge(bridge) => bridge.send(self, packet),
            Device::Dummy => self.counters.send(packet.len()),
        }
    }

    /// Takes what has come in: a frame, or on the loopback link an IP packet. Only inside of [`super::backlog::run`].
    pub(super) fn receive(self: &Arc<Self>, mut packet: Packet) {
        if !self.is_up() {
            self.counters.drop_received();
            return;
        }
        self.counters.receive(packet.len());
        packet.link = Some(self.clone());
        packet.sender = 0;
        if self.is_loopback() {
            packet_socket::show(self, &packet, Sight::Arrived);
            if let Some(namespace) = self.namespace() {
                ip::input::receive(&namespace, self, packet);
            }
            return;
        }
        match self.master() {
            Some(master) => {
                packet_socket::show(self, &packet, Sight::AtPort);
                bridge::input(&master, self, packet);
            }
            None => self.receive_own(packet),
        }
    }

    /// Takes a frame for this machine.
    fn receive_own(self: &Arc<Self>, mut packet: Packet) {
        packet_socket::show(self, &packet, Sight::Arrived);
        let Some(header) = frame::header(&packet) else {
            self.counters.receive_error();
            return;
        };
        let is_wanted = header.destination == self.mac() || !header.destination.is_unicast();
        let (Some(namespace), true) = (self.namespace(), is_wanted) else {
            self.counters.drop_received();
            return;
        };
        if packet.pull(frame::HEADER_LEN).is_none() {
            return;
        }
        packet.link = Some(self.clone());
        packet.is_for_one = header.destination.is_unicast();
        match header.protocol {
            EthernetProtocol::Ipv4 => ip::input::receive(&namespace, self, packet),
            EthernetProtocol::Arp => neighbour::input(&namespace, self, &packet),
            _ => self.counters.drop_received(),
        }
    }

    /// Does what a change of `changed` flags means to the device.
    pub(super) fn note_flags(self: &Arc<Self>, changed: u32) {
        const FILTERS: u32 = flags::IFF_UP | flags::IFF_PROMISC;
        if changed & flags::IFF_UP != 0 && !self.is_up() {
            self.neighbours.forget_all();
        }
        if changed & FILTERS != 0 {
            self.update_filter();
        }
    }

    /// Tells hardware whether to let in what is for others.
    fn update_filter(&self) {
        if let Device::Ethernet(hardware) = &self.device {
            let is_open = self.flags.load(Ordering::Relaxed) & flags::IFF_PROMISC != 0
                || self.eavesdroppers.load(Ordering::Relaxed) > 0
                || self.master().is_some();
            hardware.set_filter(is_open);
        }
    }

    /// How many want all frames (IFLA_PROMISCUITY).
    pub fn promiscuity(&self) -> u32 {
        let is_asked = self.flags.load(Ordering::Relaxed) & flags::IFF_PROMISC != 0;
        self.eavesdroppers.load(Ordering::Relaxed) + u32::from(is_asked)
    }

    /// Somebody wants all frames, whomever they are for.
    pub fn begin_letting_all_in(&self) {
        self.eavesdroppers.fetch_add(1, Ordering::Relaxed);
        self.update_filter();
    }

    /// Takes [`Self::begin_letting_all_in`] back.
    pub fn end_letting_all_in(&self) {
        self.eavesdroppers.fetch_sub(1, Ordering::Relaxed);
        self.update_filter();
    }
}

fn mac_to_bits(EthernetAddress([a, b, c, d, e, f]): EthernetAddress) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// An Ethernet address that nobody else has: locally administered, for one station.
fn random_mac() -> EthernetAddress {
    let mut mac = [0; 6];
    crate::random::fill(&mut mac);
    mac[0] = mac[0] & !1 | 2;
    EthernetAddress(mac)
}
