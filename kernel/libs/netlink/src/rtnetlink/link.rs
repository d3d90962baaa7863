//! Links.

use crate::{Attribute, Attributes, Body, Message, Refusal, Result};
use coffer_abi_types::netlink::{
    IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_ALT_IFNAME, IFLA_BROADCAST, IFLA_CARRIER, IFLA_CARRIER_CHANGES,
    IFLA_EXT_MASK, IFLA_GROUP, IFLA_IFNAME, IFLA_INET_CONF, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_LINKMODE, IFLA_MASTER,
    IFLA_MAX_MTU, IFLA_MIN_MTU, IFLA_MTU, IFLA_NET_NS_FD, IFLA_NET_NS_PID, IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES, IFLA_OPERSTATE, IFLA_PROMISCUITY, IFLA_QDISC, IFLA_STATS, IFLA_STATS64, IFLA_TXQLEN,
    VETH_INFO_PEER, ifinfomsg, rtnl_link_stats, rtnl_link_stats64,
};
use zerocopy::{FromBytes, IntoBytes};

/// The longest name, without NUL.
pub const NAME_MAX: usize = 15;
/// The longest alternative name.
const ALTERNATIVE_NAME_MAX: usize = 127;

/// Which network namespace a link is to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of a process.
    Process(u32),
    /// That of an open file.
    File(u32),
}

/// What is asked of a link: to be found, made, changed or taken away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Index, flags and which of them are to change.
    pub head: ifinfomsg,
    /// Its name, by which it is found if there is no index.
    pub name: Option<&'a str>,
    /// Hardware address.
    pub address: Option<&'a [u8]>,
    /// Hardware address of all.
    pub broadcast: Option<&'a [u8]>,
    /// The longest packet.
    pub mtu: Option<u32>,
    /// How many packets may wait to be sent.
    pub queue_len: Option<u32>,
    /// The bridge that it is to be a port of; 0: of none.
    pub master: Option<u32>,
    /// Where it is to go.
    pub place: Option<Place>,
    /// What kind of link (`veth`).
    pub kind: Option<&'a str>,
    /// What the kind needs to know.
    pub data: Attributes<'a>,
    /// What else a list is to show.
    pub extra: u32,
}

impl<'a> Request<'a> {
    /// From a message.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn read(message: &Message<'a>) -> Result<Self> {
        let (head, attributes) = message.split()?;
        Self::from_parts(head, attributes)
    }

    /// The other end of a pair: its head and its attributes are nested.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn peer(&self) -> Result<Option<Self>> {
        let Some(peer) = self.data.find(VETH_INFO_PEER) else { return Ok(None) };
        let (head, rest) = ifinfomsg::read_from_prefix(peer.value)
            .map_err(|_| Refusal::Range("the peer's attribute is too short"))?;
        Self::from_parts(head, Attributes::new(rest)).map(Some)
    }

    /// From its parts.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn from_parts(head: ifinfomsg, attributes: Attributes<'a>) -> Result<Self> {
        if head.ifi_index < 0 {
            return Err(Refusal::Invalid("a link's index is positive"));
        }
        let mut request = Self { head, ..Self::default() };
        for attribute in attributes {
            request.take(attribute)?;
        }
        Ok(request)
    }

    fn take(&mut self, attribute: Attribute<'a>) -> Result<()> {
        match attribute.kind {
            IFLA_IFNAME => self.name = Some(attribute.text(NAME_MAX)?),
            // A link has one name only; by whichever attribute it is asked for.
            IFLA_ALT_IFNAME if self.name.is_none() => self.name = Some(attribute.text(ALTERNATIVE_NAME_MAX)?),
            IFLA_ADDRESS => self.address = Some(attribute.value),
            IFLA_BROADCAST => self.broadcast = Some(attribute.value),
            IFLA_MTU => self.mtu = Some(attribute.u32()?),
            IFLA_TXQLEN => self.queue_len = Some(attribute.u32()?),
            IFLA_MASTER => self.master = Some(attribute.u32()?),
            IFLA_NET_NS_PID => self.place = Some(Place::Process(attribute.u32()?)),
            IFLA_NET_NS_FD => self.place = Some(Place::File(attribute.u32()?)),
            IFLA_EXT_MASK => self.extra = attribute.u32()?,
            IFLA_LINKINFO => {
                self.kind =
                    attribute.nested().find(IFLA_INFO_KIND).map(|kind| kind.text(NAME_MAX)).transpose()?;
                self.data = attribute
                    .nested()
                    .find(IFLA_INFO_DATA)
                    .map_or_else(Attributes::default, Attribute::nested);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A link as programs are told of it.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Kind of hardware (ARPHRD_*).
    pub hardware: u16,
    /// Its number.
    pub index: u32,
    /// IFF_*.
    pub flags: u32,
    /// Flags that have changed; all, in a list.
    pub change: u32,
    /// Its name.
    pub name: &'a str,
    /// Hardware address.
    pub address: &'a [u8],
    /// Hardware address of all.
    pub broadcast: &'a [u8],
    /// The longest packet, and the bounds of that.
    pub mtu: u32,
    /// The smallest such.
    pub min_mtu: u32,
    /// The greatest such; 0: no bound.
    pub max_mtu: u32,
    /// How many packets may wait to be sent.
    pub queue_len: u32,
    /// How (`noqueue`).
    pub queue: &'a str,
    /// RFC 2863.
    pub operational_state: u8,
    /// Whether it is plugged in.
    pub has_carrier: bool,
    /// How many want to hear everything.
    pub promiscuity: u32,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// The other end of a pair: its index, and if that is in another namespace, the number by which it goes.
    pub peer: Option<(u32, Option<i32>)>,
    /// What kind of link, if it was made by a program.
    pub kind: Option<&'a str>,
    /// Of what kind it is a port.
    pub port_kind: Option<&'a str>,
    /// Counters; `None`: not asked for.
    pub statistics: Option<rtnl_link_stats64>,
    /// The link's IPv4 settings, from the first (`IPV4_DEVCONF_FORWARDING`) on.
    pub ipv4_settings: &'a [u32],
}

impl Report<'_> {
    /// Writes the message's body.
    pub fn write(&self, body: &mut Body<'_>) {
        body.push(&ifinfomsg {
            ifi_type: self.hardware,
            ifi_index: self.index.cast_signed(),
            ifi_flags: self.flags,
            ifi_change: self.change,
            ..ifinfomsg::default()
        });
        body.text(IFLA_IFNAME, self.name);
        body.attribute(IFLA_TXQLEN, &self.queue_len);
        body.attribute(IFLA_OPERSTATE, &self.operational_state);
        body.attribute(IFLA_LINKMODE, &0_u8);
        body.attribute(IFLA_MTU, &self.mtu);
        body.attribute(IFLA_MIN_MTU, &self.min_mtu);
        body.attribute(IFLA_MAX_MTU, &self.max_mtu);
        body.attribute(IFLA_GROUP, &0_u32);
        body.attribute(IFLA_PROMISCUITY, &self.promiscuity);
        body.attribute(IFLA_NUM_TX_QUEUES, &1_u32);
        body.attribute(IFLA_NUM_RX_QUEUES, &1_u32);
        if let Some(master) = self.master {
            body.attribute(IFLA_MASTER, &master);
        }
        if let Some((peer, _)) = self.peer {
            body.attribute(IFLA_LINK, &peer);
        }
        body.attribute(IFLA_CARRIER, &u8::from(self.has_carrier));
        body.text(IFLA_QDISC, self.queue);
        body.attribute(IFLA_CARRIER_CHANGES, &0_u32);
        body.attribute(IFLA_ADDRESS, self.address);
        body.attribute(IFLA_BROADCAST, self.broadcast);
        if let Some(statistics) = &self.statistics {
            body.attribute(IFLA_STATS64, statistics);
            body.attribute(IFLA_STATS, &narrow(statistics));
        }
        if self.kind.is_some() || self.port_kind.is_some() {
            body.holding(IFLA_LINKINFO, |info| {
                if let Some(kind) = self.kind {
                    info.text(IFLA_INFO_KIND, kind);
                }
                if let Some(kind) = self.port_kind {
                    info.text(IFLA_INFO_SLAVE_KIND, kind);
                }
            });
        }
        if let Some((_, Some(namespace))) = self.peer {
            body.attribute(IFLA_LINK_NETNSID, &namespace);
        }
        body.holding(IFLA_AF_SPEC, |families| {
            families.holding(AF_INET, |inet| inet.attribute(IFLA_INET_CONF, self.ipv4_settings));
        });
    }
}

const AF_INET: u16 = 2;

/// The counters as programs before those of 64 bits know them: cut to 32.
fn narrow(wide: &rtnl_link_stats64) -> rtnl_link_stats {
    let mut narrow = rtnl_link_stats::default();
    let (counters, _) = wide.as_bytes().as_chunks::<8>();
    for (to, from) in narrow.counters.iter_mut().zip(counters) {
        *to = u64::from_ne_bytes(*from) as u32;
    }
    narrow
}
