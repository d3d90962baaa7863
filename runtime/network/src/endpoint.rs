//! Endpoints: a container's link on a network.

use std::net::Ipv4Addr;

use rustix::process::Pid;
use rustix::rand::GetRandomFlags;
use serde::{Deserialize, Serialize};

use crate::netlink::Netlink;
use crate::network::{Network, mac_of};
use crate::{Error, Ipv4Net, Mac};

/// A container's place on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The link's name in the container: `eth0` and on.
    pub name: String,
    pub address: Ipv4Addr,
    pub mac: Mac,
    /// Whether the container's default route goes over this network.
    pub has_default_route: bool,
}

impl Endpoint {
    /// An endpoint with that address and the Ethernet address that goes with it.
    #[must_use]
    pub fn new(name: &str, address: Ipv4Addr) -> Self {
        Self { name: name.to_owned(), address, mac: mac_of(address), has_default_route: true }
    }
}

/// Connects the container whose process is `pid`, which has a network namespace of its own, and brings its loopback up. Gives the
/// name of the machine's end.
///
/// # Errors
/// What the kernel says; nothing is left behind then.
pub fn attach(network: &Network, endpoint: &Endpoint, pid: Pid) -> Result<String, Error> {
    let mut machine = Netlink::open()?;
    let bridge = machine.link(&network.bridge)?;
    let name = random_name()?;
    machine.create_veth(&name, (&endpoint.name, endpoint.mac, pid), network.mtu)?;
    let link = machine.link(&name)?;
    let connected = machine.join_bridge(&link, &bridge).and_then(|()| configure(network, endpoint, pid));
    if let Err(error) = connected {
        // The error that matters is the first one.
        let _ = machine.delete_link(&link);
        return Err(error);
    }
    Ok(name)
}

/// Removes an endpoint by the name of the machine's end. One that went with its container is fine.
///
/// # Errors
/// What the kernel says.
pub fn detach(name: &str) -> Result<(), Error> {
    let mut machine = Netlink::open()?;
    match machine.find_link(name)? {
        Some(link) => match machine.delete_link(&link) {
            Err(error) if error.is(rustix::io::Errno::NODEV) => Ok(()),
            result => result,
        },
        None => Ok(()),
    }
}

/// Lets the default route of the container whose process is `pid` go over its link `name` on that network.
///
/// # Errors
/// What the kernel says.
pub fn route_by(network: &Network, name: &str, pid: Pid) -> Result<(), Error> {
    let mut container = Netlink::open_in(pid)?;
    let link = container.link(name)?;
    container.set_default_route(&link, network.gateway)
}

/// Brings up the loopback link in the namespace of `pid`: all that a container without networks has.
///
/// # Errors
/// What the kernel says.
pub fn loopback_up(pid: Pid) -> Result<(), Error> {
    let mut container = Netlink::open_in(pid)?;
    let loopback = container.link("lo")?;
    container.set_up(&loopback)
}

fn configure(network: &Network, endpoint: &Endpoint, pid: Pid) -> Result<(), Error> {
    let mut container = Netlink::open_in(pid)?;
    let loopback = container.link("lo")?;
    container.set_up(&loopback)?;
    let link = container.link(&endpoint.name)?;
    let address = Ipv4Net::new(endpoint.address, network.subnet.prefix_len()).unwrap_or(network.subnet);
    container.add_address(&link, address)?;
    container.set_up(&link)?;
    if endpoint.has_default_route && !network.is_internal {
        container.set_default_route(&link, network.gateway)?;
    }
    Ok(())
}

/// `veth` and seven hexadecimal digits, as docker has them.
fn random_name() -> Result<String, Error> {
    let mut bytes = [0_u8; 4];
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(Error::system("get random bytes"))?;
    Ok(format!("veth{:07x}", u32::from_ne_bytes(bytes) >> 4))
}
