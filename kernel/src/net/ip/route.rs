//! Routes: what the table holds ([`RouteEntry`]), what a look-up asks ([`Hints`]) and gives ([`Route`]).

use crate::net::link::Link;
use alloc::sync::Arc;
use core::net::Ipv4Addr;
use smoltcp::wire::Ipv4Cidr;

/// How far something is known (RT_SCOPE_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// Everywhere.
    #[default]
    Global = 0,
    /// In this site.
    Site = 200,
    /// On the link.
    Link = 253,
    /// On this machine.
    Host = 254,
    /// Nowhere.
    Nowhere = 255,
}

impl From<u8> for Scope {
    /// The nearest that there is.
    fn from(number: u8) -> Self {
        match number {
            0..200 => Self::Global,
            200..253 => Self::Site,
            253 => Self::Link,
            254 => Self::Host,
            255 => Self::Nowhere,
        }
    }
}

/// What becomes of packets (RTN_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RouteKind {
    /// They go to a gateway or straight to their destination.
    #[default]
    Unicast = 1,
    /// They are for this machine.
    Local = 2,
    /// They are for everybody on the link.
    Broadcast = 3,
    /// They are for a group.
    Multicast = 5,
    /// They vanish: EINVAL for who sends them.
    Blackhole = 6,
    /// They cannot get there: EHOSTUNREACH.
    Unreachable = 7,
    /// They may not get there: EACCES.
    Prohibit = 8,
}

/// RTPROT_KERNEL: it came with an address.
pub const RTPROT_KERNEL: u8 = 2;
/// RTPROT_BOOT: by ioctl or `ip route add` without a protocol.
pub const RTPROT_BOOT: u8 = 3;

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Where to.
    pub destination: Ipv4Cidr,
    /// By which gateway (RTA_GATEWAY); `None`: straight.
    pub gateway: Option<Ipv4Addr>,
    /// By which link (RTA_OIF); 0 for kinds without one.
    pub link: u32,
    /// Which source address (RTA_PREFSRC).
    pub source: Option<Ipv4Addr>,
    /// RTA_PRIORITY: the lower goes first.
    pub metric: u32,
    /// How far the destination is.
    pub scope: Scope,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// Who made it (RTPROT_*).
    pub protocol: u8,
    /// RTA_METRICS/RTAX_MTU.
    pub mtu: Option<u32>,
    /// RTNH_F_ONLINK: the gateway is on the link, whatever the routes say.
    pub is_onlink: bool,
}

impl RouteEntry {
    /// A route to a network on a link.
    pub fn on_link(destination: Ipv4Cidr, link: u32, source: Option<Ipv4Addr>) -> Self {
        Self {
            destination: destination.network(),
            gateway: None,
            link,
            source,
            metric: 0,
            scope: Scope::Link,
            kind: RouteKind::Unicast,
            protocol: RTPROT_BOOT,
            mtu: None,
            is_onlink: false,
        }
    }

    /// A route by a gateway.
    pub fn by_gateway(destination: Ipv4Cidr, gateway: Ipv4Addr, link: u32) -> Self {
        Self { gateway: Some(gateway), scope: Scope::Global, ..Self::on_link(destination, link, None) }
    }
}

/// What a sender wants of its route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// The address that it is bound to.
    pub source: Option<Ipv4Addr>,
    /// The link that it is bound to (SO_BINDTODEVICE, IP_PKTINFO, IP_MULTICAST_IF).
    pub link: Option<u32>,
}

/// How to get somewhere. It stays good until [`crate::net::ns::NetNs::generation`] moves.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where to: as asked, but this machine's own address for 0.0.0.0.
    pub destination: Ipv4Addr,
    /// The link that packets leave by: the loopback link for what is for this machine.
    pub link: Arc<Link>,
    /// The address to send from.
    pub source: Ipv4Addr,
    /// Whom to hand packets to; `None`: the destination itself.
    pub gateway: Option<Ipv4Addr>,
    /// Unicast, Local, Broadcast or Multicast.
    pub kind: RouteKind,
    /// The longest IP packet that goes all the way, as far as is known.
    pub mtu: u32,
}

impl Route {
    /// Whom to hand packets to.
    pub fn next_hop(&self) -> Ipv4Addr {
        self.gateway.unwrap_or(self.destination)
    }

    /// Whether it ends on this machine.
    pub fn is_local(&self) -> bool {
        self.kind == RouteKind::Local
    }
}
