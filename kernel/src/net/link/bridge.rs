//! Bridges (IEEE 802.1D, without a spanning tree): frames go from port to port by the addresses that were seen there.
//!
//! The bridge itself is a link too: the port of the machine that it is part of.

use super::{Device, ETHERNET_MTU, Link, flags, frame, random_mac};
use crate::error::{Errno, Error, Result};
use crate::net::ns::{Configuration, NetNs};
use crate::net::packet::Packet;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ostd::sync::SpinLock;
use smoltcp::wire::EthernetAddress;

/// Ports of one bridge, as on Linux.
const MAX_PORTS: usize = 1024;
/// Addresses that one bridge remembers: whoever sends can make up as many as they like.
const MAX_STATIONS: usize = 4096;
/// How long without a frame from it (802.1D, 7.9.2).
const AGEING_NS: u64 = 300 * 1_000_000_000;

/// Ports, and who was seen at which.
#[derive(Debug, Default)]
pub struct Bridge {
    ports: SpinLock<Vec<Arc<Link>>>,
    stations: SpinLock<BTreeMap<[u8; 6], Station>>,
}

#[derive(Debug)]
struct Station {
    port: Weak<Link>,
    seen_ns: u64,
}

/// Makes a bridge without ports.
///
/// # Errors
/// As [`NetNs::add_link`].
pub fn create(
    configuration: &Configuration,
    namespace: &Arc<NetNs>,
    name: String,
    index: Option<u32>,
) -> Result<Arc<Link>> {
    let flags = flags::IFF_BROADCAST | flags::IFF_MULTICAST;
    let link = Link::new(Device::Bridge(Bridge::default()), name, flags, ETHERNET_MTU, random_mac());
    namespace.add_link(configuration, &link, index)?;
    Ok(link)
}

/// Makes `link` a port of `master`'s, or nobody's.
///
/// # Errors
/// EOPNOTSUPP for a master that is no bridge, ELOOP for a bridge in a bridge, EINVAL for a loopback link or one of another namespace, ENOSPC.
pub fn set_master(configuration: &Configuration, link: &Arc<Link>, master: Option<&Arc<Link>>) -> Result<()> {
    if let Some(master) = master {
        if !matches!(master.device, Device::Bridge(_)) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        match link.device {
            Device::Bridge(_) => return Err(Error::with(Errno::ELOOP, "a bridge cannot be a port")),
            Device::Loopback => return Err(Errno::EINVAL.into()),
            Device::Ethernet(_) | Device::Veth(_) | Device::Dummy => {}
        }
        let is_together = match (link.namespace(), master.namespace()) {
            (Some(link), Some(master)) => Arc::ptr_eq(&link, &master),
            _ => false,
        };
        if !is_together {
            return Err(Errno::EINVAL.into());
        }
    }
    let old = link.master();
    if let (Some(old), Some(new)) = (&old, master)
        && Arc::ptr_eq(old, new)
    {
        return Ok(());
    }
    if let Some(master) = master
        && let Device::Bridge(bridge) = &master.device
    {
        let mut ports = bridge.ports.lock();
        if ports.len() >= MAX_PORTS {
            return Err(Error::with(Errno::ENOSPC, "too many ports"));
        }
        ports.push(link.clone());
    }
    if let Some(old) = &old
        && let Device::Bridge(bridge) = &old.device
    {
        bridge.remove(link);
        old.follow_ports();
    }
    link.set_master(master.map_or_else(Weak::new, Arc::downgrade));
    link.update_filter();
    if let Some(master) = master {
        master.follow_ports();
    }
    if let Some(namespace) = link.namespace() {
        namespace.note_link_change(configuration, link);
    }
    Ok(())
}

/// Takes a frame that came in by `port`.
pub(super) fn input(link: &Arc<Link>, port: &Arc<Link>, packet: Packet) {
    let Device::Bridge(bridge) = &link.device else { return };
    let Some(header) = frame::header(&packet) else {
        port.counters.receive_error();
        return;
    };
    if !link.is_up() || is_reserved(header.destination) {
        port.counters.drop_received();
        return;
    }
    bridge.learn(header.source, port);
    if header.destination == link.mac() {
        link.take(packet);
    } else if header.destination.is_unicast() {
        match bridge.find(header.destination) {
            Some(to) if Arc::ptr_eq(&to, port) => {}
            Some(to) => to.send_frame(packet),
            None => bridge.flood(packet, Some(port), None),
        }
    } else {
        bridge.flood(packet, Some(port), Some(link));
    }
}

/// Addresses for the neighbour itself, which no bridge passes on (802.1D, 7.12.6).
fn is_reserved(EthernetAddress(mac): EthernetAddress) -> bool {
    mac[..5] == [0x01, 0x80, 0xc2, 0, 0] && mac[5] < 0x10
}

impl Bridge {
    /// Its ports.
    pub fn ports(&self) -> Vec<Arc<Link>> {
        self.ports.lock().clone()
    }

    pub(super) fn has_carrier(&self) -> bool {
        self.ports().iter().any(|port| port.is_up() && port.has_carrier())
    }

    /// Sends what the machine itself sends by the bridge.
    pub(super) fn send(&self, link: &Arc<Link>, packet: Packet) {
        link.counters.send(packet.len());
        let Some(header) = frame::header(&packet) else { return };
        let to = if header.destination.is_unicast() { self.find(header.destination) } else { None };
        match to {
            Some(to) => to.send_frame(packet),
            None => self.flood(packet, None, None),
        }
    }

    /// Lets go of its ports.
    pub(super) fn take_ports(&self) -> Vec<Arc<Link>> {
        core::mem::take(&mut *self.ports.lock())
    }

    fn remove(&self, port: &Arc<Link>) {
        self.ports.lock().retain(|other| !Arc::ptr_eq(other, port));
        let of_port = |station: &Station| core::ptr::eq(station.port.as_ptr(), Arc::as_ptr(port));
        self.stations.lock().retain(|_, station| !of_port(station));
    }

    fn learn(&self, source: EthernetAddress, port: &Arc<Link>) {
        if !source.is_unicast() {
            return;
        }
        let now_ns = ostd::timer::now_ns();
        let mut stations = self.stations.lock();
        if let Some(station) = stations.get_mut(&source.0) {
            station.seen_ns = now_ns;
            if !core::ptr::eq(station.port.as_ptr(), Arc::as_ptr(port)) {
                station.port = Arc::downgrade(port);
            }
            return;
        }
        if stations.len() >= MAX_STATIONS {
            stations.retain(|_, station| now_ns.saturating_sub(station.seen_ns) < AGEING_NS);
            if stations.len() >= MAX_STATIONS {
                return;
            }
        }
        stations.insert(source.0, Station { port: Arc::downgrade(port), seen_ns: now_ns });
    }

    /// The port where `destination` was seen lately.
    fn find(&self, destination: EthernetAddress) -> Option<Arc<Link>> {
        let stations = self.stations.lock();
        let station = stations.get(&destination.0)?;
        let is_fresh = ostd::timer::now_ns().saturating_sub(station.seen_ns) < AGEING_NS;
        station.port.upgrade().filter(|_| is_fresh)
    }

    /// Sends a frame to all ports but `from`, and to the machine itself as `also`.
    fn flood(&self, packet: Packet, from: Option<&Arc<Link>>, also: Option<&Arc<Link>>) {
        for port in self.ports() {
            if from.is_some_and(|from| Arc::ptr_eq(from, &port)) || !port.is_up() {
                continue;
            }
            match packet.try_clone() {
                Ok(copy) => port.send_frame(copy),
                Err(_) => port.counters.drop_sent(),
            }
        }
        if let Some(link) = also {
            link.take(packet);
        }
    }
}

impl Link {
    /// A frame that a bridge has for the machine itself.
    fn take(self: &Arc<Self>, packet: Packet) {
        self.counters.receive(packet.len());
        self.receive_own(packet);
    }

    /// As long as nobody chose its address, a bridge has the lowest of its ports', as on Linux.
    fn follow_ports(&self) {
        let Device::Bridge(bridge) = &self.device else { return };
        let lowest = bridge.ports().iter().map(|port| port.mac().0).min();
        if let Some(mac) = lowest
            && !self.has_own_mac.load(Ordering::Relaxed)
        {
            self.store_mac(EthernetAddress(mac));
        }
    }
}
