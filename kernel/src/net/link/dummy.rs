//! Dummy links: what is sent by one is gone. They hold addresses that are to be there whatever happens to other links.

use super::{Device, ETHERNET_MTU, Link, flags, random_mac};
use crate::error::Result;
use crate::net::ns::{Configuration, NetNs};
use alloc::string::String;
use alloc::sync::Arc;
use smoltcp::wire::EthernetAddress;

/// Makes one; without an address, with a random one.
///
/// # Errors
/// As [`NetNs::add_link`].
pub fn create(
    configuration: &Configuration,
    namespace: &Arc<NetNs>,
    name: String,
    mac: Option<EthernetAddress>,
    index: Option<u32>,
) -> Result<Arc<Link>> {
    // Nobody answers there, so nobody is asked.
    let flags = flags::IFF_BROADCAST | flags::IFF_NOARP;
    let link = Link::new(Device::Dummy, name, flags, ETHERNET_MTU, mac.unwrap_or_else(random_mac));
    namespace.add_link(configuration, &link, index)?;
    Ok(link)
}
