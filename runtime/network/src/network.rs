//! [`Network`]: what a network is, as its owner keeps it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// How containers of a network are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Over a bridge of the network's own.
    Bridge,
    /// They have the machine's network.
    Host,
    /// They have a loopback link only.
    #[serde(rename = "null")]
    None,
}

/// A network of containers with the driver [`Driver::Bridge`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The bridge's name, at most 15 bytes.
    pub bridge: String,
    pub subnet: Ipv4Net,
    /// The bridge's own address.
    pub gateway: Ipv4Addr,
    /// Whether it has no way to the outside.
    pub is_internal: bool,
    /// The largest packet, where it is not Ethernet's 1500.
    pub mtu: Option<u32>,
}

impl Network {
    /// The bridge's address with the prefix length.
    pub(crate) fn bridge_address(&self) -> Ipv4Net {
        Ipv4Net::new(self.gateway, self.subnet.prefix_len()).unwrap_or(self.subnet)
    }

    /// The bridge of a network with that id, as docker calls it.
    #[must_use]
    pub fn bridge_name(id: &str) -> String {
        format!("br-{}", id.get(..12).unwrap_or(id))
    }
}

/// The Ethernet address that goes with an address: locally administered, the same each time, so that neighbours' tables stay
/// right when an address gets another owner.
#[must_use]
pub fn mac_of(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    Mac([0x02, 0x42, a, b, c, d])
}
