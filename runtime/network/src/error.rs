//! What goes wrong with networks, in moby's words where clients know them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

/// Why a network, endpoint or published port is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}: {source}")]
    System {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("no link is called `{0}`")]
    NoLink(String),
    #[error("the kernel's answer is not understood: {0}")]
    Answer(String),
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoPool,
    #[error("Pool overlaps with other one on this address space")]
    Overlap,
    #[error("no available IPv4 addresses on this network's address pools: {0}")]
    NoAddress(Ipv4Net),
    #[error("Address already in use")]
    AddressInUse(Ipv4Addr),
    #[error("Requested address is out of range: {0} is not in {1}")]
    OutOfRange(Ipv4Addr, Ipv4Net),
    #[error("Bind for {0} failed: port is already allocated")]
    PortInUse(SocketAddrV4),
    #[error("ports cannot be published on this kernel: it has no /proc/net/coffer/nat")]
    NoNat,
    #[error("no DHCP server answered on `{0}`")]
    NoLease(String),
}

impl Error {
    /// The HTTP status that moby gives.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Overlap | Self::OutOfRange(..) => 403,
            Self::AddressInUse(_) => 409,
            Self::NoNat => 501,
            _ => 500,
        }
    }

    /// Turns a failed call into an error; `what` completes "cannot …".
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }

    /// Whether the kernel said that this number.
    pub(crate) fn is(&self, errno: rustix::io::Errno) -> bool {
        matches!(self, Self::System { source, .. } if source.raw_os_error() == Some(errno.raw_os_error()))
    }
}
