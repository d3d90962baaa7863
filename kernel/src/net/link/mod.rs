//! Links (network interfaces, netdevice(7)): what they have in common is [`Link`], what tells them apart its [`Device`].
//!
//! A link lives in one namespace, which holds it; it knows that namespace weakly and can be moved. Packets leave by [`Link::send_ip`] and
//! come in by [`Link::receive`], both in task context with no spin lock held.

pub mod counters;
pub mod flags;
pub mod loopback;

pub use counters::Counters;

use super::ns::NetNs;
use super::packet::Packet;
use crate::error::{Errno, Result};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ostd::sync::SpinLock;
use smoltcp::wire::EthernetAddress;

/// Bytes of a link's name, its NUL included.
pub const NAME_LEN: usize = 16;

/// What kind of link it is, and what that kind keeps.
#[derive(Debug)]
pub enum Device {
    /// `lo`: everything comes back.
    Loopback,
}

/// A link.
#[derive(Debug)]
pub struct Link {
    device: Device,
    index: AtomicU32,
    flags: AtomicU32,
    mtu: AtomicU32,
    mac: AtomicU64,
    identity: SpinLock<Identity>,
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
    pub(super) fn new(device: Device, name: String, flags: u32, mtu: u32, mac: EthernetAddress) -> Arc<Self> {
        let identity = Identity { name, queue_len: 1000, ..Identity::default() };
        Arc::new(Self {
            device,
            index: AtomicU32::new(0),
            flags: AtomicU32::new(flags),
            mtu: AtomicU32::new(mtu),
            mac: AtomicU64::new(mac_to_bits(mac)),
            identity: SpinLock::new(identity),
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
            Device::Loopback => None,
        }
    }

    /// ARPHRD_*.
    pub fn hardware_type(&self) -> u16 {
        match self.device {
            Device::Loopback => flags::ARPHRD_LOOPBACK,
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

    /// IFF_*, as user space is shown them.
    pub fn flags(&self) -> u32 {
        let flags = self.flags.load(Ordering::Relaxed);
        if flags & flags::IFF_UP != 0 && self.has_carrier() {
            flags | flags::IFF_RUNNING | flags::IFF_LOWER_UP
        } else {
            flags
        }
    }

    /// Changes flags: those of `mask` become `value`'s. Only [`NetNs::set_link_flags`] may touch IFF_UP.
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
        match self.device {
            Device::Loopback => true,
        }
    }

    /// The longest IP packet that it carries.
    pub fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Relaxed)
    }

    /// The smallest and the largest [`Self::mtu`] that it can have.
    pub fn mtu_limits(&self) -> (u32, u32) {
        match self.device {
            Device::Loopback => (0, i32::MAX as u32),
        }
    }

    /// Sets [`Self::mtu`].
    ///
    /// # Errors
    /// EINVAL outside of [`Self::mtu_limits`].
    pub fn set_mtu(&self, mtu: u32) -> Result<()> {
        let (least, most) = self.mtu_limits();
        if !(least..=most).contains(&mtu) {
            return Err(Errno::EINVAL.into());
        }
        self.mtu.store(mtu, Ordering::Relaxed);
        Ok(())
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> EthernetAddress {
        let bits = self.mac.load(Ordering::Relaxed).to_be_bytes();
        EthernetAddress([bits[2], bits[3], bits[4], bits[5], bits[6], bits[7]])
    }

    /// Sends an IP packet to `next_hop`, which is on this link. What cannot be sent is dropped and counted.
    pub fn send_ip(self: &Arc<Self>, packet: Packet, next_hop: Ipv4Addr) {
        let _ = next_hop;
        if !self.is_up() {
            self.counters.drop_sent();
            return;
        }
        match self.device {
            Device::Loopback => loopback::transmit(self, packet),
        }
    }
}

impl Link {
    /// Does what a change of `changed` flags means to the device.
    pub(super) fn note_flags(self: &Arc<Self>, changed: u32) {
        let _ = changed;
        match self.device {
            Device::Loopback => {}
        }
    }

    /// Its namespace is gone: what becomes of it.
    pub(super) fn outlive_namespace(self: &Arc<Self>) {
        match self.device {
            Device::Loopback => {}
        }
    }
}

fn mac_to_bits(EthernetAddress([a, b, c, d, e, f]): EthernetAddress) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
