//! Options at IPPROTO_IP (ip(7)), and those of SOL_SOCKET that only make sense with links: what TCP and UDP share.

use crate::error::{Errno, Result};
use crate::net::ip::DEFAULT_TTL;
use crate::net::ns::NetNs;
use crate::net::options::{OptionValue, int};
use crate::net::socket::unknown_option;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::vec::Vec;
use coffer_abi_types::inet::{
    IP_ADD_MEMBERSHIP, IP_BIND_ADDRESS_NO_PORT, IP_DROP_MEMBERSHIP, IP_FREEBIND, IP_LOCAL_PORT_RANGE,
    IP_MTU_DISCOVER, IP_MULTICAST_ALL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_OPTIONS,
    IP_PKTINFO, IP_PMTUDISC_WANT, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TRANSPARENT, IP_TTL,
    IPPROTO_IP, ip_mreqn,
};
use coffer_abi_types::net::{
    SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_COOKIE, SO_INCOMING_CPU, SO_MARK, SOL_SOCKET,
};
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU64, Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// The most groups that a socket is in (/proc/sys/net/ipv4/igmp_max_memberships).
const MEMBERSHIPS_MAX: usize = 20;
/// The longest name of a link, with its end.
const LINK_NAME_MAX: usize = 16;

/// The values.
#[derive(Clone, Debug)]
pub struct IpOptions {
    /// IP_TTL, if set.
    pub ttl: Option<u8>,
    /// IP_TOS.
    pub tos: u8,
    /// SO_BINDTODEVICE, or 0.
    pub link: u32,
    /// IP_PKTINFO.
    pub wants_packet_info: bool,
    /// IP_RECVERR.
    pub wants_errors: bool,
    /// IP_RECVTTL.
    pub wants_ttl: bool,
    /// IP_RECVTOS.
    pub wants_tos: bool,
    /// IP_FREEBIND or IP_TRANSPARENT: addresses that are not ours may be bound to.
    pub may_bind_foreign: bool,
    /// IP_BIND_ADDRESS_NO_PORT.
    pub binds_without_port: bool,
    /// IP_MULTICAST_TTL.
    pub multicast_ttl: u8,
    /// IP_MULTICAST_LOOP.
    pub multicast_loops: bool,
    /// IP_MULTICAST_ALL.
    pub multicast_all: bool,
    /// IP_MULTICAST_IF: link and address.
    pub multicast_link: u32,
    /// As above.
    pub multicast_address: Ipv4Addr,
    /// IP_MTU_DISCOVER.
    pub mtu_discovery: u32,
    /// SO_MARK.
    pub mark: u32,
    /// Groups and the links that they are joined on; 0 for the one that the route says.
    pub memberships: Vec<(Ipv4Addr, u32)>,
    /// SO_COOKIE, made when it is asked for.
    cookie: u64,
}

impl IpOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            ttl: None,
            tos: 0,
            link: 0,
            wants_packet_info: false,
            wants_errors: false,
            wants_ttl: false,
            wants_tos: false,
            may_bind_foreign: false,
            binds_without_port: false,
            multicast_ttl: 1,
            multicast_loops: true,
            multicast_all: true,
            multicast_link: 0,
            multicast_address: Ipv4Addr::UNSPECIFIED,
            mtu_discovery: IP_PMTUDISC_WANT,
            mark: 0,
            memberships: Vec::new(),
            cookie: 0,
        }
    }

    /// As a connection has it from its listener.
    pub fn inherited(&self) -> Self {
        Self { memberships: Vec::new(), cookie: 0, ..self.clone() }
    }

    /// The hop limit of what is sent to `to`.
    pub fn ttl_to(&self, to: Ipv4Addr) -> u8 {
        if to.is_multicast() { self.multicast_ttl } else { self.ttl.unwrap_or(DEFAULT_TTL) }
    }

    /// Whether datagrams for a group are for this socket.
    pub fn takes_group(&self, group: Ipv4Addr, link: u32) -> bool {
        let is_member =
            |(joined, on): &(Ipv4Addr, u32)| *joined == group && (*on == 0 || link == 0 || *on == link);
        self.multicast_all || self.memberships.iter().any(is_member)
    }

    /// getsockopt(2).
    ///
    /// # Errors
    /// ENOPROTOOPT, EOPNOTSUPP.
    pub fn get(&mut self, level: u32, name: u32, ns: &NetNs) -> Result<OptionValue> {
        let value = match (level, name) {
            (SOL_SOCKET, SO_BINDTODEVICE) => return Ok(OptionValue::Bytes(link_name(self.link, ns))),
            (SOL_SOCKET, SO_BINDTOIFINDEX) => self.link.cast_signed(),
            (SOL_SOCKET, SO_MARK) => self.mark.cast_signed(),
            (SOL_SOCKET, SO_INCOMING_CPU) => 0,
            (SOL_SOCKET, SO_COOKIE) => return Ok(OptionValue::Bytes(Vec::from(self.cookie().as_bytes()))),
            (SOL_SOCKET, _) => return Err(unknown_option(level)),
            (IPPROTO_IP, IP_TTL) => i32::from(self.ttl.unwrap_or(DEFAULT_TTL)),
            (IPPROTO_IP, IP_TOS) => i32::from(self.tos),
            (IPPROTO_IP, IP_OPTIONS) => return Ok(OptionValue::Bytes(Vec::new())),
            (IPPROTO_IP, IP_PKTINFO) => i32::from(self.wants_packet_info),
            (IPPROTO_IP, IP_RECVERR) => i32::from(self.wants_errors),
            (IPPROTO_IP, IP_RECVTTL) => i32::from(self.wants_ttl),
            (IPPROTO_IP, IP_RECVTOS) => i32::from(self.wants_tos),
            (IPPROTO_IP, IP_FREEBIND | IP_TRANSPARENT) => i32::from(self.may_bind_foreign),
            (IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) => i32::from(self.binds_without_port),
            (IPPROTO_IP, IP_MTU_DISCOVER) => self.mtu_discovery.cast_signed(),
            (IPPROTO_IP, IP_MULTICAST_TTL) => i32::from(self.multicast_ttl),
            (IPPROTO_IP, IP_MULTICAST_LOOP) => i32::from(self.multicast_loops),
            (IPPROTO_IP, IP_MULTICAST_ALL) => i32::from(self.multicast_all),
            (IPPROTO_IP, IP_MULTICAST_IF) => {
                return Ok(OptionValue::Bytes(Vec::from(self.multicast_address.octets())));
            }
            (IPPROTO_IP, IP_LOCAL_PORT_RANGE) => 0,
            (IPPROTO_IP, _) => return Err(Errno::ENOPROTOOPT.into()),
            _ => return Err(unknown_option(level)),
        };
        Ok(OptionValue::Int(value))
    }

    /// setsockopt(2).
    ///
    /// # Errors
    /// EINVAL, EPERM, ENODEV, ENOPROTOOPT, EOPNOTSUPP.
    pub fn set(&mut self, level: u32, name: u32, value: &[u8], ns: &NetNs) -> Result<()> {
        match (level, name) {
            (SOL_SOCKET, SO_BINDTODEVICE) => self.link = link_of(value, ns)?,
            (SOL_SOCKET, SO_BINDTOIFINDEX) => {
                let link = int(value)?.cast_unsigned();
                if link != 0 && ns.link(link).is_none() {
                    return Err(Errno::ENODEV.into());
                }
                self.link = link;
            }
            (SOL_SOCKET, SO_MARK) => {
                permit(Capability::NetAdmin)?;
                self.mark = int(value)?.cast_unsigned();
            }
            // A hint that there is nothing to do about.
            (SOL_SOCKET, SO_INCOMING_CPU) => drop(int(value)?),
            (SOL_SOCKET, _) => return Err(unknown_option(level)),
            (IPPROTO_IP, IP_ADD_MEMBERSHIP) => self.join(value, ns)?,
            (IPPROTO_IP, IP_DROP_MEMBERSHIP) => self.leave(value, ns)?,
            (IPPROTO_IP, IP_MULTICAST_IF) => self.set_multicast_link(value, ns)?,
            (IPPROTO_IP, IP_OPTIONS) if value.is_empty() => {}
            (IPPROTO_IP, _) => return self.set_number(name, byte_or_int(value)?),
            _ => return Err(Errno::ENOPROTOOPT.into()),
        }
        Ok(())
    }

    fn set_number(&mut self, name: u32, value: i32) -> Result<()> {
        let is_on = value != 0;
        match (name, value) {
            (IP_TTL, -1) => self.ttl = None,
            (IP_TTL, 1..=255) => self.ttl = Some(value as u8),
            (IP_TOS, _) => self.tos = value as u8,
            (IP_PKTINFO, _) => self.wants_packet_info = is_on,
            (IP_RECVERR, _) => self.wants_errors = is_on,
            (IP_RECVTTL, _) => self.wants_ttl = is_on,
            (IP_RECVTOS, _) => self.wants_tos = is_on,
            (IP_FREEBIND, _) => self.may_bind_foreign = is_on,
            (IP_TRANSPARENT, _) => {
                permit(Capability::NetAdmin)?;
                self.may_bind_foreign = is_on;
            }
            (IP_BIND_ADDRESS_NO_PORT, _) => self.binds_without_port = is_on,
            (IP_MTU_DISCOVER, 0..=5) => self.mtu_discovery = value.cast_unsigned(),
            (IP_MULTICAST_TTL, -1) => self.multicast_ttl = 1,
            (IP_MULTICAST_TTL, 0..=255) => self.multicast_ttl = value as u8,
            (IP_MULTICAST_LOOP, 0..=1) => self.multicast_loops = is_on,
            (IP_MULTICAST_ALL, 0..=1) => self.multicast_all = is_on,
            (IP_TTL | IP_MTU_DISCOVER | IP_MULTICAST_TTL | IP_MULTICAST_LOOP | IP_MULTICAST_ALL, _) => {
                return Err(Errno::EINVAL.into());
            }
            _ => return Err(Errno::ENOPROTOOPT.into()),
        }
        Ok(())
    }

    fn join(&mut self, value: &[u8], ns: &NetNs) -> Result<()> {
        let membership = membership(value, ns)?;
        if !membership.0.is_multicast() {
            return Err(Errno::EINVAL.into());
        }
        if self.memberships.contains(&membership) {
            return Err(Errno::EADDRINUSE.into());
        }
        if self.memberships.len() >= MEMBERSHIPS_MAX {
            return Err(Errno::ENOBUFS.into());
        }
        self.memberships.push(membership);
        Ok(())
    }

    fn leave(&mut self, value: &[u8], ns: &NetNs) -> Result<()> {
        let membership = membership(value, ns)?;
        let at = self
            .memberships
            .iter()
            .position(|(group, link)| *group == membership.0 && (membership.1 == 0 || *link == membership.1));
        self.memberships.swap_remove(at.ok_or(Errno::EADDRNOTAVAIL)?);
        Ok(())
    }

    fn set_multicast_link(&mut self, value: &[u8], ns: &NetNs) -> Result<()> {
        let (address, link) = match value.len() {
            0..4 => return Err(Errno::EINVAL.into()),
            4..8 => (address_at(value, 0)?, 0),
            _ => {
                let request = request(value)?;
                (request.imr_address.into(), request.imr_ifindex)
            }
        };
        let found = if link != 0 {
            ns.link(link).map(|_| link).ok_or(Errno::EADDRNOTAVAIL)?
        } else if address.is_unspecified() {
            0
        } else {
            link_with(address, ns).ok_or(Errno::EADDRNOTAVAIL)?
        };
        (self.multicast_link, self.multicast_address) = (found, address);
        Ok(())
    }

    fn cookie(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if self.cookie == 0 {
            self.cookie = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        self.cookie
    }
}

/// EPERM unless the caller has `capability`.
///
/// # Errors
/// EPERM.
pub fn permit(capability: Capability) -> Result<()> {
    // COMPAT: the caller's namespace is asked, which nearly always is the socket's.
    let owner = NetNs::current()?.owner().clone();
    let may =
        Thread::current().is_none_or(|thread| thread.process().credentials().has_in(&owner, capability));
    if may { Ok(()) } else { Err(Errno::EPERM.into()) }
}

/// Numbers of this level come as ints or as bytes.
fn byte_or_int(value: &[u8]) -> Result<i32> {
    match value {
        [] => Err(Errno::EINVAL.into()),
        [byte] | [byte, _] | [byte, _, _] => Ok(i32::from(*byte)),
        _ => int(value),
    }
}

fn membership(value: &[u8], ns: &NetNs) -> Result<(Ipv4Addr, u32)> {
    let request = request(value)?;
    let (group, address) = (request.imr_multiaddr.into(), Ipv4Addr::from(request.imr_address));
    let link = if request.imr_ifindex != 0 {
        ns.link(request.imr_ifindex).map(|_| request.imr_ifindex).ok_or(Errno::ENODEV)?
    } else if address.is_unspecified() {
        0
    } else {
        link_with(address, ns).ok_or(Errno::ENODEV)?
    };
    Ok((group, link))
}

/// A `struct ip_mreqn`, or the older `struct ip_mreq` without a link.
fn request(value: &[u8]) -> Result<ip_mreqn> {
    if let Ok((request, _)) = ip_mreqn::read_from_prefix(value) {
        return Ok(request);
    }
    Ok(ip_mreqn {
        imr_multiaddr: address_at(value, 0)?.octets(),
        imr_address: address_at(value, 4)?.octets(),
        imr_ifindex: 0,
    })
}

fn address_at(value: &[u8], at: usize) -> Result<Ipv4Addr> {
    let bytes = value.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
    Ok((*bytes).into())
}

fn link_of(value: &[u8], ns: &NetNs) -> Result<u32> {
    let value = &value[..value.len().min(LINK_NAME_MAX - 1)];
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    if name.is_empty() {
        return Ok(0);
    }
    let name = core::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
    Ok(ns.link_by_name(name).ok_or(Errno::ENODEV)?.index())
}

/// The link that has an address.
fn link_with(address: Ipv4Addr, ns: &NetNs) -> Option<u32> {
    ns.addresses().iter().find(|of_link| of_link.address() == address).map(|of_link| of_link.link)
}

fn link_name(link: u32, ns: &NetNs) -> Vec<u8> {
    let mut bytes = Vec::new();
    if link != 0
        && let Some(link) = ns.link(link)
    {
        bytes.extend_from_slice(link.name().as_bytes());
        bytes.push(0);
    }
    bytes
}
