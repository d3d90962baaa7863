//! Routes.

use crate::{Body, Message, Refusal, Result};
use coffer_abi_types::netlink::{
    RT_TABLE_COMPAT, RTA_CACHEINFO, RTA_DST, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC,
    RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_UID, RTAX_MTU, rta_cacheinfo, rtmsg,
};
use core::net::Ipv4Addr;

/// As in the head of a message.
pub const AF_INET: u8 = 2;

/// What is asked of a route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Prefix, table, protocol, scope, type, flags.
    pub head: rtmsg,
    /// Where to.
    pub destination: Option<Ipv4Addr>,
    /// By which address of ours (of a query: from which).
    pub source: Option<Ipv4Addr>,
    /// By which router.
    pub gateway: Option<Ipv4Addr>,
    /// The preferred address of ours.
    pub preferred: Option<Ipv4Addr>,
    /// By which link.
    pub link: Option<u32>,
    /// The smaller, the better.
    pub metric: Option<u32>,
    /// The longest packet.
    pub mtu: Option<u32>,
    /// Which table, if not by the head.
    pub table: Option<u32>,
}

impl Request {
    /// From a message about IPv4.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn read(message: &Message<'_>) -> Result<Self> {
        let (head, attributes) = message.split::<rtmsg>()?;
        if head.rtm_dst_len > 32 {
            return Err(Refusal::Invalid("a prefix of IPv4 has at most 32 bits"));
        }
        let mut request = Self { head, ..Self::default() };
        for attribute in attributes {
            match attribute.kind {
                RTA_DST => request.destination = Some(attribute.ipv4()?),
                RTA_SRC => request.source = Some(attribute.ipv4()?),
                RTA_GATEWAY => request.gateway = Some(attribute.ipv4()?),
                RTA_PREFSRC => request.preferred = Some(attribute.ipv4()?),
                RTA_OIF => request.link = Some(attribute.u32()?),
                RTA_PRIORITY => request.metric = Some(attribute.u32()?),
                RTA_TABLE => request.table = Some(attribute.u32()?),
                RTA_METRICS => {
                    let mtu = attribute.nested().find(RTAX_MTU);
                    request.mtu = mtu.map(crate::Attribute::u32).transpose()?;
                }
                RTA_MULTIPATH => return Err(Refusal::Invalid("a route has one next hop")),
                _ => {}
            }
        }
        Ok(request)
    }

    /// The number of the table.
    pub fn table(&self) -> u32 {
        self.table.unwrap_or(u32::from(self.head.rtm_table))
    }
}

/// A route as programs are told of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Where to; `None`: everywhere.
    pub destination: Option<Ipv4Addr>,
    /// How many bits of it count.
    pub prefix_len: u8,
    /// By which router.
    pub gateway: Option<Ipv4Addr>,
    /// The preferred address of ours.
    pub preferred: Option<Ipv4Addr>,
    /// By which link.
    pub link: Option<u32>,
    /// The smaller, the better.
    pub metric: u32,
    /// The longest packet.
    pub mtu: Option<u32>,
    /// Which table.
    pub table: u32,
    /// Who made it (RTPROT_*).
    pub protocol: u8,
    /// How far it leads (RT_SCOPE_*).
    pub scope: u8,
    /// RTN_*.
    pub kind: u8,
    /// RTM_F_*, RTNH_F_*.
    pub flags: u32,
    /// Of an answer to a query: who asks.
    pub uid: Option<u32>,
}

impl Report {
    /// Writes the message's body.
    pub fn write(&self, body: &mut Body<'_>) {
        body.push(&rtmsg {
            rtm_family: AF_INET,
            rtm_dst_len: self.prefix_len,
            rtm_table: u8::try_from(self.table).unwrap_or(RT_TABLE_COMPAT),
            rtm_protocol: self.protocol,
            rtm_scope: self.scope,
            rtm_type: self.kind,
            rtm_flags: self.flags,
            ..rtmsg::default()
        });
        body.attribute(RTA_TABLE, &self.table);
        if let Some(destination) = self.destination {
            body.attribute(RTA_DST, &destination.octets());
        }
        if self.metric > 0 {
            body.attribute(RTA_PRIORITY, &self.metric);
        }
        if let Some(preferred) = self.preferred {
            body.attribute(RTA_PREFSRC, &preferred.octets());
        }
        if let Some(mtu) = self.mtu {
            body.holding(RTA_METRICS, |metrics| metrics.attribute(RTAX_MTU, &mtu));
        }
        if let Some(gateway) = self.gateway {
            body.attribute(RTA_GATEWAY, &gateway.octets());
        }
        if let Some(link) = self.link {
            body.attribute(RTA_OIF, &link);
        }
        if let Some(uid) = self.uid {
            body.attribute(RTA_UID, &uid);
            body.attribute(RTA_CACHEINFO, &rta_cacheinfo::default());
        }
    }
}
