//! Links: find, create, change, delete.

use std::fmt;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::Netlink;
use crate::Error;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl std::str::FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            *byte = part
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| format!("invalid MAC address: {text}"))?;
        }
        if parts.next().is_none() { Ok(Self(bytes)) } else { Err(format!("invalid MAC address: {text}")) }
    }
}

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// A link as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Option<Mac>,
    pub mtu: u32,
    pub is_up: bool,
    /// Ethernet, by hardware type: veths and bridges too.
    pub is_ethernet: bool,
    /// What made it: `veth`, `bridge`; none for hardware.
    pub kind: Option<String>,
    /// The bridge that it is a port of.
    pub controller: Option<u32>,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            is_up: message.header.flags.contains(LinkFlags::Up),
            is_ethernet: message.header.link_layer_type == LinkLayerType::Ether,
            kind: None,
            controller: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Address(address) => link.mac = address.try_into().ok().map(Mac),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Controller(index) => link.controller = Some(index).filter(|index| *index > 0),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        link
    }
}

impl Netlink {
    /// All links.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let mut links = Vec::new();
        self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), "list links", |message| {
            if let RouteNetlinkMessage::NewLink(message) = message {
                links.push(message.into());
            }
        })?;
        Ok(links)
    }

    /// The link of that name, if there is one.
    ///
    /// # Errors
    /// As [`Self::links`].
    pub fn find_link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    /// The link of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn link(&mut self, name: &str) -> Result<Link, Error> {
        self.find_link(name)?.ok_or_else(|| Error::NoLink(name.to_owned()))
    }

    /// Makes a bridge. One that is there already is an error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create_bridge(&mut self, name: &str, mac: Mac) -> Result<(), Error> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
        message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.create(message, format!("create the bridge `{name}`"))
    }

    /// Makes a pair of connected links: one here, the other in the namespace of `peer_pid`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create_veth(
        &mut self,
        name: &str,
        (peer_name, peer_mac, peer_pid): (&str, Mac, Pid),
        mtu: Option<u32>,
    ) -> Result<(), Error> {
        let mut peer = named(peer_name);
        peer.attributes.push(LinkAttribute::Address(peer_mac.0.to_vec()));
        peer.attributes.push(LinkAttribute::NetNsPid(peer_pid.as_raw_nonzero().get().cast_unsigned()));
        let mut message = named(name);
        for message in [&mut message, &mut peer] {
            message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        }
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.create(message, format!("create the veth pair `{name}`"))
    }

    /// Makes a link a port of a bridge and brings it up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn join_bridge(&mut self, link: &Link, bridge: &Link) -> Result<(), Error> {
        let message = change(link, LinkAttribute::Controller(bridge.index));
        self.set(message, format!("make `{}` a port of `{}`", link.name, bridge.name))?;
        self.set_up(link)
    }

    /// Brings a link up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_up(&mut self, link: &Link) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.set(message, format!("bring `{}` up", link.name))
    }

    /// Sets the largest packet.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_mtu(&mut self, link: &Link, mtu: u32) -> Result<(), Error> {
        self.set(change(link, LinkAttribute::Mtu(mtu)), format!("set the MTU of `{}`", link.name))
    }

    /// Deletes a link; a veth takes its peer with it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn delete_link(&mut self, link: &Link) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        self.request(RouteNetlinkMessage::DelLink(message), 0, format!("delete the link `{}`", link.name))
    }

    fn create(&mut self, message: LinkMessage, what: String) -> Result<(), Error> {
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, what)
    }

    /// RTM_NEWLINK without NLM_F_CREATE: it changes what RTM_SETLINK changes, on every kernel since Linux 2.6.
    fn set(&mut self, message: LinkMessage, what: String) -> Result<(), Error> {
        self.request(RouteNetlinkMessage::NewLink(message), 0, what)
    }
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

fn change(link: &Link, attribute: LinkAttribute) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link.index;
    message.attributes.push(attribute);
    message
}
