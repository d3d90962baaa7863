//! Bridges: one for each network.

use std::fs;

use crate::nat;
use crate::netlink::Netlink;
use crate::network::{Network, mac_of};
use crate::{Error, Ipv4Net};

/// Makes the network's bridge with its address and the rules for what leaves it. What is there already is kept, so that an
/// engine which starts again may call this for every network it knows.
///
/// # Errors
/// What the kernel says. On a kernel without Coffer's address translation a network has no way out; that is no error.
pub fn ensure(network: &Network) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let name = network.bridge.as_str();
    let bridge = match netlink.find_link(name)? {
        Some(bridge) => bridge,
        None => {
            netlink.create_bridge(name, mac_of(network.gateway))?;
            netlink.link(name)?
        }
    };
    if let Some(mtu) = network.mtu.filter(|mtu| *mtu != bridge.mtu) {
        netlink.set_mtu(&bridge, mtu)?;
    }
    netlink.add_address(&bridge, network.bridge_address())?;
    netlink.set_up(&bridge)?;

    forward()?;
    if !network.is_internal {
        nat::add(&masquerade(network.subnet, name))?;
    }
    for other in netlink.links()?.iter().filter(|link| is_bridge(link.kind.as_deref()) && link.name != name) {
        nat::add(&format!("drop {name} {}", other.name))?;
        nat::add(&format!("drop {} {name}", other.name))?;
    }
    Ok(())
}

/// Removes the bridge and every rule that names it. What is gone already is fine.
///
/// # Errors
/// What the kernel says.
pub fn remove(network: &Network) -> Result<(), Error> {
    let name = network.bridge.as_str();
    for rule in nat::rules()?.unwrap_or_default() {
        if rule.split([' ', '!']).any(|word| word == name) {
            nat::remove(&rule)?;
        }
    }
    let mut netlink = Netlink::open()?;
    match netlink.find_link(name)? {
        Some(bridge) => netlink.delete_link(&bridge),
        None => Ok(()),
    }
}

fn masquerade(subnet: Ipv4Net, bridge: &str) -> String {
    format!("masquerade {} !{bridge}", subnet.trunc())
}

fn is_bridge(kind: Option<&str>) -> bool {
    kind == Some("bridge")
}

/// Lets the machine forward packets between its links.
fn forward() -> Result<(), Error> {
    const SETTING: &str = "/proc/sys/net/ipv4/ip_forward";
    if fs::read_to_string(SETTING).is_ok_and(|value| value.trim() == "1") {
        return Ok(());
    }
    fs::write(SETTING, "1").map_err(Error::system("turn on forwarding"))
}
