//! Neighbours: who has which hardware address.

use crate::{Body, Message, Result};
use coffer_abi_types::netlink::{
    NDA_CACHEINFO, NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_PROBES, nda_cacheinfo, ndmsg,
};
use core::net::Ipv4Addr;

/// What is asked of a neighbour.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Family, link, state.
    pub head: ndmsg,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its hardware address.
    pub hardware: Option<[u8; 6]>,
    /// Of a list: the link.
    pub link: Option<u32>,
}

impl Request {
    /// From a message about IPv4.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn read(message: &Message<'_>) -> Result<Self> {
        let (head, attributes) = message.split()?;
        let mut request = Self { head, ..Self::default() };
        for attribute in attributes {
            match attribute.kind {
                NDA_DST => request.address = Some(attribute.ipv4()?),
                NDA_LLADDR => request.hardware = Some(attribute.mac()?),
                NDA_IFINDEX => request.link = Some(attribute.u32()?),
                _ => {}
            }
        }
        Ok(request)
    }
}

/// A neighbour as programs are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The link.
    pub link: u32,
    /// NUD_*.
    pub state: u16,
    /// RTN_*.
    pub kind: u8,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its hardware address, if it is known.
    pub hardware: Option<[u8; 6]>,
    /// How many were asked in vain.
    pub probes: u32,
    /// When it was confirmed, used and changed, in hundredths of seconds ago.
    pub ages: nda_cacheinfo,
}

impl Report {
    /// Writes the message's body.
    pub fn write(&self, body: &mut Body<'_>) {
        body.push(&ndmsg {
            ndm_family: super::route::AF_INET,
            ndm_ifindex: self.link.cast_signed(),
            ndm_state: self.state,
            ndm_type: self.kind,
            ..ndmsg::default()
        });
        body.attribute(NDA_DST, &self.address.octets());
        if let Some(hardware) = self.hardware {
            body.attribute(NDA_LLADDR, &hardware);
        }
        body.attribute(NDA_PROBES, &self.probes);
        body.attribute(NDA_CACHEINFO, &self.ages);
    }
}
