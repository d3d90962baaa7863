//! AF_NETLINK (netlink(7)): how programs ask for links, addresses and routes, change them, and hear of changes.
//!
//! A [`NetlinkSocket`] sends to the kernel, where [`request`] takes the messages apart and hands each to its protocol: [`rtnetlink`], [`diag`] (sock_diag(7)) or [`generic`]. Answers and news go through its [`queue`]; long answers are made piece by piece
//! ([`dump`]). The [`Hub`] of a network namespace knows who has which port and who is in which group.

mod diag;
mod dump;
mod generic;
mod hub;
pub mod queue;
mod request;
pub mod rtnetlink;
mod socket;

pub use hub::Hub;
pub use queue::Datagram;
pub use socket::NetlinkSocket;

use super::ns::NetNs;
use super::{Kind, Socket};
use crate::error::{Errno, Result};
use alloc::sync::Arc;
use coffer_abi_types::net::{SOCK_DGRAM, SOCK_RAW};
use coffer_abi_types::netlink::{
    NETLINK_GENERIC, NETLINK_KOBJECT_UEVENT, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_USERSOCK,
};

/// The family's number.
pub const AF_NETLINK: u16 = 16;

/// What the messages of a socket are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Protocol {
    /// Links, addresses, routes.
    Route = NETLINK_ROUTE,
    /// Whatever programs tell each other.
    User = NETLINK_USERSOCK,
    /// Sockets.
    SocketDiagnosis = NETLINK_SOCK_DIAG,
    /// Devices that come and go.
    DeviceEvents = NETLINK_KOBJECT_UEVENT,
    /// Families that are found by name.
    Generic = NETLINK_GENERIC,
}

impl Protocol {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            NETLINK_ROUTE => Self::Route,
            NETLINK_USERSOCK => Self::User,
            NETLINK_SOCK_DIAG => Self::SocketDiagnosis,
            NETLINK_KOBJECT_UEVENT => Self::DeviceEvents,
            NETLINK_GENERIC => Self::Generic,
            _ => return None,
        })
    }

    /// Whether anybody may hear what is sent to its groups.
    fn is_heard_by_all(self) -> bool {
        self != Self::User
    }

    /// Whether anybody may send to others than the kernel.
    fn is_sent_by_all(self) -> bool {
        self == Self::User
    }
}

/// A new socket of the caller's network namespace.
///
/// # Errors
/// ESOCKTNOSUPPORT, EPROTONOSUPPORT, ENOMEM.
pub fn create(kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    let kind = match kind {
        SOCK_DGRAM => Kind::Datagram,
        SOCK_RAW => Kind::Raw,
        _ => return Err(Errno::ESOCKTNOSUPPORT.into()),
    };
    let protocol = Protocol::from_number(protocol).ok_or(Errno::EPROTONOSUPPORT)?;
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    Ok(NetlinkSocket::new(NetNs::current()?, kind, protocol))
}
