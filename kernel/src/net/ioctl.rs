//! ioctl(2) on sockets that is about links (netdevice(7)): the older way to what rtnetlink does, which C libraries and small tools still go.

use super::ip::Address;
use super::link::Link;
use super::link::flags::IFF_UP;
use super::ns::{NetNs, configure};
use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::inet::AF_INET;
use coffer_abi_types::netdevice::{
    SIOCETHTOOL, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFDSTADDR, SIOCGIFFLAGS, SIOCGIFHWADDR,
    SIOCGIFINDEX, SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFNAME, SIOCGIFNETMASK, SIOCGIFTXQLEN, SIOCSIFADDR,
    SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFMTU, SIOCSIFNETMASK, ifconf, ifreq,
};
use core::net::Ipv4Addr;
use smoltcp::wire::{EthernetAddress, Ipv4Cidr};
use zerocopy::IntoBytes;

/// Serves `command`.
///
/// # Errors
/// ENOTTY for a command that it does not know, ENODEV, EADDRNOTAVAIL, EPERM, EFAULT.
pub fn link_ioctl(command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
    let namespace = NetNs::current()?;
    match command {
        SIOCGIFCONF => list(&namespace, UserPtr::new(argument)),
        SIOCGIFNAME => name(&namespace, UserPtr::new(argument)),
        SIOCGIFFLAGS | SIOCGIFADDR | SIOCGIFDSTADDR | SIOCGIFBRDADDR | SIOCGIFNETMASK | SIOCGIFMETRIC
        | SIOCGIFMTU | SIOCGIFHWADDR | SIOCGIFINDEX | SIOCGIFTXQLEN => {
            show(&namespace, command, UserPtr::new(argument))
        }
        SIOCSIFFLAGS | SIOCSIFADDR | SIOCSIFNETMASK | SIOCSIFMTU | SIOCSIFHWADDR => {
            if !context.process.credentials().has_in(namespace.owner(), Capability::NetAdmin) {
                return Err(Errno::EPERM.into());
            }
            change(&namespace, command, &UserPtr::<ifreq>::new(argument).read()?)
        }
        SIOCETHTOOL => Err(Errno::EOPNOTSUPP.into()),
        _ => Err(Errno::ENOTTY.into()),
    }?;
    Ok(0)
}

/// SIOCGIFCONF: names and addresses of all links that have one; without a buffer, how long that would be.
fn list(namespace: &NetNs, request: UserPtr<ifconf>) -> Result<()> {
    let mut value = request.read()?;
    let mut bytes = Vec::new();
    for address in namespace.addresses() {
        let Some(link) = namespace.link(address.link) else { continue };
        let entry = ifreq { ifr_name: name_field(&link), ifr_ifru: socket_address(address.address()) };
        bytes.try_reserve(size_of::<ifreq>()).map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(entry.as_bytes());
    }
    if value.ifc_buf != 0 {
        let room = usize::try_from(value.ifc_len).map_err(|_| Errno::EINVAL)?;
        bytes.truncate(room / size_of::<ifreq>() * size_of::<ifreq>());
        UserPtr::<u8>::new(value.ifc_buf as usize).write_array(&bytes)?;
    }
    value.ifc_len = i32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
    request.write(&value)
}

/// SIOCGIFNAME: the name of the link with an index.
fn name(namespace: &NetNs, request: UserPtr<ifreq>) -> Result<()> {
    let mut value = request.read()?;
    let link = namespace.link(number(&value)).ok_or(Errno::ENODEV)?;
    value.ifr_name = name_field(&link);
    request.write(&value)
}

fn show(namespace: &NetNs, command: u32, request: UserPtr<ifreq>) -> Result<()> {
    let mut value = request.read()?;
    let link = find(namespace, &value)?;
    let field = match command {
        SIOCGIFFLAGS => padded(&(link.flags() as u16).to_ne_bytes()),
        SIOCGIFMETRIC => padded(&0_u32.to_ne_bytes()),
        SIOCGIFMTU => padded(&link.mtu().to_ne_bytes()),
        SIOCGIFINDEX => padded(&link.index().to_ne_bytes()),
        SIOCGIFTXQLEN => padded(&link.queue_len().to_ne_bytes()),
        SIOCGIFHWADDR => {
            let mut field = padded(&link.hardware_type().to_ne_bytes());
            field[2..8].copy_from_slice(&link.mac().0);
            field
        }
        _ => {
            let address = first_address(namespace, &link).ok_or(Errno::EADDRNOTAVAIL)?;
            socket_address(match command {
                SIOCGIFADDR => address.address(),
                SIOCGIFDSTADDR => address.peer.unwrap_or(address.address()),
                SIOCGIFBRDADDR => address.broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED),
                _ => address.cidr.netmask(),
            })
        }
    };
    value.ifr_ifru = field;
    request.write(&value)
}

fn change(namespace: &Arc<NetNs>, command: u32, request: &ifreq) -> Result<()> {
    let configuration = configure();
    let link = find(namespace, request)?;
    match command {
        SIOCSIFFLAGS => {
            let [low, high, ..] = request.ifr_ifru;
            let flags = u32::from(u16::from_ne_bytes([low, high]));
            namespace.set_link_flags(&configuration, &link, flags, u32::MAX);
        }
        SIOCSIFMTU => {
            link.set_mtu(number(request))?;
            namespace.note_link_change(&configuration, &link);
        }
        SIOCSIFHWADDR => {
            let [_, _, mac @ ..] = request.ifr_ifru;
            let mac = mac.first_chunk::<6>().copied().unwrap_or_default();
            link.set_mac(EthernetAddress(mac))?;
            namespace.note_link_change(&configuration, &link);
        }
        SIOCSIFADDR => {
            let own = address_in(request)?;
            if let Some(old) = first_address(namespace, &link) {
                namespace.remove_address(&configuration, link.index(), old.cidr)?;
            }
            if own.is_unspecified() {
                return Ok(());
            }
            let address = Address::new(link.index(), link.name(), Ipv4Cidr::new(own, class_prefix(own)));
            namespace.add_address(&configuration, address)?;
            namespace.set_link_flags(&configuration, &link, IFF_UP, IFF_UP);
        }
        _ => {
            let mask = address_in(request)?.to_bits();
            if mask.leading_ones() != 32 - mask.trailing_zeros().min(32) && mask != 0 {
                return Err(Error::with(Errno::EINVAL, "the mask has holes"));
            }
            let old = first_address(namespace, &link).ok_or(Errno::EADDRNOTAVAIL)?;
            namespace.remove_address(&configuration, link.index(), old.cidr)?;
            let cidr = Ipv4Cidr::new(old.address(), mask.leading_ones() as u8);
            namespace.add_address(&configuration, Address::new(link.index(), link.name(), cidr))?;
        }
    }
    Ok(())
}

/// The link that a request names; what comes after a colon is the label of an address.
fn find(namespace: &NetNs, request: &ifreq) -> Result<Arc<Link>> {
    let name = request.ifr_name.split(|byte| matches!(byte, 0 | b':')).next().unwrap_or_default();
    let name = core::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
    namespace.link_by_name(name).ok_or(Errno::ENODEV.into())
}

fn first_address(namespace: &NetNs, link: &Link) -> Option<Address> {
    namespace.addresses_of(link.index()).into_iter().next()
}

/// How long a prefix is if nobody says so: by the classes of RFC 791, as SIOCSIFADDR always has had it.
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        192..224 => 24,
        _ => 32,
    }
}

fn address_in(request: &ifreq) -> Result<Ipv4Addr> {
    let [low, high, _, _, a, b, c, d, ..] = request.ifr_ifru;
    if u16::from_ne_bytes([low, high]) != AF_INET {
        return Err(Errno::EINVAL.into());
    }
    Ok(Ipv4Addr::new(a, b, c, d))
}

fn number(request: &ifreq) -> u32 {
    let [a, b, c, d, ..] = request.ifr_ifru;
    u32::from_ne_bytes([a, b, c, d])
}

fn name_field(link: &Link) -> [u8; 16] {
    let mut field = [0; 16];
    field.iter_mut().zip(link.name().bytes().take(15)).for_each(|(to, from)| *to = from);
    field
}

fn socket_address(address: Ipv4Addr) -> [u8; 24] {
    let mut field = padded(&AF_INET.to_ne_bytes());
    field[4..8].copy_from_slice(&address.octets());
    field
}

fn padded(bytes: &[u8]) -> [u8; 24] {
    let mut field = [0; 24];
    field.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    field
}
