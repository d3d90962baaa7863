//! Addresses of AF_INET as user space writes them (`sockaddr_in`).

use crate::error::{Errno, Result};
use alloc::vec::Vec;
use coffer_abi_types::inet::{AF_INET, sockaddr_in};
use coffer_abi_types::net::AF_UNSPEC;
use core::net::{Ipv4Addr, SocketAddrV4};
use zerocopy::{FromBytes, IntoBytes};

/// No address and no port.
pub const UNSPECIFIED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// The family.
///
/// # Errors
/// EINVAL if it is cut off.
pub fn family(bytes: &[u8]) -> Result<u16> {
    Ok(u16::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?.0)
}

/// An address to connect or send to.
///
/// # Errors
/// EINVAL if it is too short, EAFNOSUPPORT for another family.
pub fn parse(bytes: &[u8]) -> Result<SocketAddrV4> {
    let address = sockaddr_in::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?.0;
    match address.sin_family {
        AF_INET => Ok(of(&address)),
        _ => Err(Errno::EAFNOSUPPORT.into()),
    }
}

/// An address to bind to: AF_UNSPEC with no address passes, as it always has.
///
/// # Errors
/// As [`parse`].
pub fn parse_for_bind(bytes: &[u8]) -> Result<SocketAddrV4> {
    let address = sockaddr_in::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?.0;
    match address.sin_family {
        AF_INET => Ok(of(&address)),
        AF_UNSPEC if address.sin_addr == [0; 4] => Ok(of(&address)),
        _ => Err(Errno::EAFNOSUPPORT.into()),
    }
}

/// As a `sockaddr_in`.
pub fn to_bytes(address: SocketAddrV4) -> Vec<u8> {
    Vec::from(to_sockaddr(address).as_bytes())
}

/// As a `sockaddr_in`.
pub fn to_sockaddr(address: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        sin_family: AF_INET,
        sin_port: address.port().to_be_bytes(),
        sin_addr: address.ip().octets(),
        sin_zero: [0; 8],
    }
}

fn of(address: &sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(address.sin_addr.into(), u16::from_be_bytes(address.sin_port))
}
