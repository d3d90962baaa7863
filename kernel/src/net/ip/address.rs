//! Addresses of links.

use super::route::Scope;
use alloc::string::String;
use core::net::Ipv4Addr;
use smoltcp::wire::Ipv4Cidr;

/// An address of a link's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address and its prefix's length (IFA_LOCAL).
    pub cidr: Ipv4Cidr,
    /// The other end of a point-to-point link (IFA_ADDRESS), if it is not the address itself.
    pub peer: Option<Ipv4Addr>,
    /// IFA_BROADCAST.
    pub broadcast: Option<Ipv4Addr>,
    /// How far it is known.
    pub scope: Scope,
    /// IFA_LABEL.
    pub label: String,
    /// IFA_F_*: IFA_F_SECONDARY is set by the tables, IFA_F_NOPREFIXROUTE by who adds it.
    pub flags: u32,
    /// Seconds that it is valid and preferred for, `u32::MAX` for ever. Remembered only: who gives addresses a lease takes them away again.
    pub lifetimes: (u32, u32),
}

/// Not the first of its network.
pub const IFA_F_SECONDARY: u32 = 0x01;
/// It never needs duplicate detection, or has passed it.
pub const IFA_F_PERMANENT: u32 = 0x80;
/// No route comes with it.
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;

impl Address {
    /// An address as ioctl(SIOCSIFADDR) makes it: with its broadcast address, label and scope by default.
    pub fn new(link: u32, label: String, cidr: Ipv4Cidr) -> Self {
        let scope = if cidr.address().is_loopback() { Scope::Host } else { Scope::Global };
        Self {
            link,
            cidr,
            peer: None,
            broadcast: cidr.broadcast().filter(|_| scope != Scope::Host),
            scope,
            label,
            flags: IFA_F_PERMANENT,
            lifetimes: (u32::MAX, u32::MAX),
        }
    }

    /// The address itself.
    pub fn address(&self) -> Ipv4Addr {
        self.cidr.address()
    }

    /// The network that can be reached by its link.
    pub fn network(&self) -> Ipv4Cidr {
        match self.peer {
            Some(peer) => Ipv4Cidr::new(peer, self.cidr.prefix_len()).network(),
            None => self.cidr.network(),
        }
    }
}
