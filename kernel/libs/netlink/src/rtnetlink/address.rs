//! Addresses of links.

use crate::{Body, Message, Refusal, Result};
use coffer_abi_types::netlink::{
    IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_PERMANENT, IFA_FLAGS, IFA_LABEL, IFA_LOCAL,
    ifa_cacheinfo, ifaddrmsg,
};
use core::net::Ipv4Addr;

/// What is asked of an address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Family, prefix, scope, link.
    pub head: ifaddrmsg,
    /// The link's own.
    pub local: Option<Ipv4Addr>,
    /// The peer's, or as [`Self::local`].
    pub address: Option<Ipv4Addr>,
    /// The broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// IFA_F_*.
    pub flags: u32,
    /// The link's name, maybe with an alias.
    pub label: Option<&'a str>,
    /// For how many seconds it is valid; `u32::MAX` is for ever.
    pub valid_seconds: Option<u32>,
}

impl<'a> Request<'a> {
    /// From a message about IPv4.
    ///
    /// # Errors
    /// Invalid, Range.
    pub fn read(message: &Message<'a>) -> Result<Self> {
        let (head, attributes) = message.split::<ifaddrmsg>()?;
        let mut request = Self { head, flags: u32::from(head.ifa_flags), ..Self::default() };
        for attribute in attributes {
            match attribute.kind {
                IFA_LOCAL => request.local = Some(attribute.ipv4()?),
                IFA_ADDRESS => request.address = Some(attribute.ipv4()?),
                IFA_BROADCAST => request.broadcast = Some(attribute.ipv4()?),
                IFA_LABEL => request.label = Some(attribute.text(super::link::NAME_MAX)?),
                IFA_FLAGS => request.flags = attribute.u32()?,
                IFA_CACHEINFO => {
                    let (lifetimes, _) = zerocopy::FromBytes::read_from_prefix(attribute.value)
                        .map_err(|_| Refusal::Range("the lifetimes are too short"))?;
                    let ifa_cacheinfo { ifa_prefered, ifa_valid, .. } = lifetimes;
                    if ifa_valid == 0 || ifa_prefered > ifa_valid {
                        return Err(Refusal::Invalid("the lifetimes contradict each other"));
                    }
                    request.valid_seconds = Some(ifa_valid);
                }
                _ => {}
            }
        }
        Ok(request)
    }
}

/// An address as programs are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The link.
    pub link: u32,
    /// Bits of the prefix.
    pub prefix_len: u8,
    /// How far it is valid (RT_SCOPE_*).
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
    /// The link's own.
    pub local: Ipv4Addr,
    /// The peer's, or as [`Self::local`].
    pub address: Ipv4Addr,
    /// The broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// The link's name.
    pub label: &'a str,
    /// For how many seconds it is valid; `None`: for ever.
    pub valid_seconds: Option<u32>,
}

impl Report<'_> {
    /// Writes the message's body.
    pub fn write(&self, body: &mut Body<'_>) {
        let is_permanent = self.valid_seconds.is_none();
        let flags = self.flags | if is_permanent { IFA_F_PERMANENT } else { 0 };
        body.push(&ifaddrmsg {
            ifa_family: super::route::AF_INET,
            ifa_prefixlen: self.prefix_len,
            // The old place has room for eight of them.
            ifa_flags: flags as u8,
            ifa_scope: self.scope,
            ifa_index: self.link,
        });
        body.attribute(IFA_ADDRESS, &self.address.octets());
        body.attribute(IFA_LOCAL, &self.local.octets());
        if let Some(broadcast) = self.broadcast {
            body.attribute(IFA_BROADCAST, &broadcast.octets());
        }
        body.text(IFA_LABEL, self.label);
        body.attribute(IFA_FLAGS, &flags);
        let seconds = self.valid_seconds.unwrap_or(u32::MAX);
        body.attribute(
            IFA_CACHEINFO,
            &ifa_cacheinfo { ifa_prefered: seconds, ifa_valid: seconds, ..ifa_cacheinfo::default() },
        );
    }
}
