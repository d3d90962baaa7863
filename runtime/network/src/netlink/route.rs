//! IPv4 routes of the main table.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Link, Netlink};
use crate::Error;

impl Netlink {
    /// The networks that the machine has a way to, the default route not counted.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn routed_networks(&mut self) -> Result<Vec<Ipv4Net>, Error> {
        let mut request = RouteMessage::default();
        request.header.address_family = AddressFamily::Inet;
        let mut networks = Vec::new();
        self.dump(RouteNetlinkMessage::GetRoute(request), "list routes", |message| {
            let RouteNetlinkMessage::NewRoute(message) = message else { return };
            if message.header.table != RouteHeader::RT_TABLE_MAIN {
                return;
            }
            let destination = message.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
                _ => None,
            });
            let prefix_len = message.header.destination_prefix_length;
            networks.extend(destination.and_then(|address| Ipv4Net::new(address, prefix_len).ok()));
        })?;
        Ok(networks)
    }

    /// Makes `gateway` the next hop of the default route, in the place of another.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_default_route(&mut self, link: &Link, gateway: Ipv4Addr) -> Result<(), Error> {
        let message = message(link, None, Some(gateway));
        let what = format!("route by {gateway} over `{}`", link.name);
        self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE, what)
    }

    /// Says that `network` is reached over a link directly.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_link_route(&mut self, link: &Link, network: Ipv4Net) -> Result<(), Error> {
        let message = message(link, Some(network), None);
        let what = format!("route {network} over `{}`", link.name);
        self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE, what)
    }
}

fn message(link: &Link, destination: Option<Ipv4Net>, gateway: Option<Ipv4Addr>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    message.header.scope = if gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    if let Some(destination) = destination {
        message.header.destination_prefix_length = destination.prefix_len();
        let address = RouteAddress::Inet(destination.network());
        message.attributes.push(RouteAttribute::Destination(address));
    }
    message.attributes.extend(gateway.map(|gateway| RouteAttribute::Gateway(RouteAddress::Inet(gateway))));
    message.attributes.push(RouteAttribute::Oif(link.index));
    message
}
