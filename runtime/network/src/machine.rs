//! The machine's own links: loopback, the one that leads outside, its address and route.

use std::net::Ipv4Addr;

use crate::dhcp::Lease;
use crate::netlink::{Link, Netlink};
use crate::{Error, Ipv4Net};

/// Brings the loopback link up.
///
/// # Errors
/// What the kernel says.
pub fn loopback_up() -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let loopback = netlink.link("lo")?;
    netlink.set_up(&loopback)
}

/// The link called `name`, or the first Ethernet device where there is no name; brought up. None when there is none (yet).
///
/// # Errors
/// What the kernel says.
pub fn uplink(name: Option<&str>) -> Result<Option<Link>, Error> {
    let mut netlink = Netlink::open()?;
    let mut links = netlink.links()?;
    links.sort_by_key(|link| link.index);
    let is_wanted = |link: &Link| match name {
        Some(name) => link.name == name,
        None => link.is_ethernet && link.kind.is_none(),
    };
    let Some(link) = links.into_iter().find(is_wanted) else { return Ok(None) };
    netlink.set_up(&link)?;
    Ok(Some(link))
}

/// Gives a link a static address and perhaps the default route.
///
/// # Errors
/// What the kernel says.
pub fn configure(link: &Link, address: Ipv4Net, gateway: Option<Ipv4Addr>) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    netlink.add_address(link, address)?;
    match gateway {
        Some(gateway) => netlink.set_default_route(link, gateway),
        None => Ok(()),
    }
}

/// Gives a link what a lease brings, in the place of what an older one brought.
///
/// # Errors
/// What the kernel says.
pub fn apply(link: &Link, lease: &Lease, old: Option<&Lease>) -> Result<(), Error> {
    if let Some(old) = old.filter(|old| old.address != lease.address) {
        give_up(link, old)?;
    }
    configure(link, lease.address, lease.gateway)
}

/// Takes back what a lease brought; its routes go with the address.
///
/// # Errors
/// What the kernel says.
pub fn give_up(link: &Link, lease: &Lease) -> Result<(), Error> {
    Netlink::open()?.remove_address(link, lease.address)
}
