//! IPv4 addresses of links.

use std::net::IpAddr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Link, Netlink};
use crate::Error;

impl Netlink {
    /// All IPv4 addresses with their networks, and the index of the link that each is on.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn addresses(&mut self) -> Result<Vec<(u32, Ipv4Net)>, Error> {
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Inet;
        let mut addresses = Vec::new();
        self.dump(RouteNetlinkMessage::GetAddress(request), "list addresses", |message| {
            let RouteNetlinkMessage::NewAddress(message) = message else { return };
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
            let network = local.and_then(|address| Ipv4Net::new(address, message.header.prefix_len).ok());
            addresses.extend(network.map(|network| (message.header.index, network)));
        })?;
        Ok(addresses)
    }

    /// Gives a link an address. One that it has already is fine.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_address(&mut self, link: &Link, network: Ipv4Net) -> Result<(), Error> {
        let message = message(link, network);
        let what = format!("give `{}` the address {network}", link.name);
        match self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, what) {
            Err(error) if error.is(rustix::io::Errno::EXIST) => Ok(()),
            result => result,
        }
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_address(&mut self, link: &Link, network: Ipv4Net) -> Result<(), Error> {
        let message = message(link, network);
        let what = format!("take the address {network} from `{}`", link.name);
        self.request(RouteNetlinkMessage::DelAddress(message), 0, what)
    }
}

fn message(link: &Link, network: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = network.prefix_len();
    message.header.index = link.index;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(network.addr().into()));
    message.attributes.push(AddressAttribute::Address(network.addr().into()));
    if network.prefix_len() < 31 {
        message.attributes.push(AddressAttribute::Broadcast(network.broadcast()));
    }
    message
}
