//! veth pairs (veth(4)): a cable with a link at each end, usually in different namespaces.

use super::{Device, ETHERNET_MTU, Link, flags, random_mac};
use crate::error::Result;
use crate::net::backlog;
use crate::net::ns::{Configuration, NetNs};
use crate::net::packet::{Packet, Tracking};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use ostd::sync::SpinLock;
use smoltcp::wire::EthernetAddress;

/// One end's half.
#[derive(Debug, Default)]
pub struct Veth {
    peer: SpinLock<Weak<Link>>,
}

/// What one end is to be.
#[derive(Debug)]
pub struct End<'a> {
    /// Where.
    pub namespace: &'a Arc<NetNs>,
    /// Its name, free there.
    pub name: String,
    /// Its address; `None`: a random one.
    pub mac: Option<EthernetAddress>,
    /// Its index, if it matters.
    pub index: Option<u32>,
}

/// Makes a pair.
///
/// # Errors
/// As [`NetNs::add_link`].
pub fn create(configuration: &Configuration, ends: [End<'_>; 2]) -> Result<[Arc<Link>; 2]> {
    let links = ends.each_ref().map(|end| {
        let mac = end.mac.unwrap_or_else(random_mac);
        let flags = flags::IFF_BROADCAST | flags::IFF_MULTICAST;
        Link::new(Device::Veth(Veth::default()), end.name.clone(), flags, ETHERNET_MTU, mac)
    });
    for (link, peer) in [(&links[0], &links[1]), (&links[1], &links[0])] {
        if let Device::Veth(veth) = &link.device {
            *veth.peer.lock() = Arc::downgrade(peer);
        }
    }
    let [first, second] = &ends;
    first.namespace.add_link(configuration, &links[0], first.index)?;
    second
        .namespace
        .add_link(configuration, &links[1], second.index)
        .inspect_err(|_| first.namespace.remove_link(configuration, &links[0]))?;
    Ok(links)
}

impl Veth {
    pub(super) fn peer(&self) -> Option<Arc<Link>> {
        self.peer.lock().upgrade()
    }

    pub(super) fn send(&self, link: &Arc<Link>, mut packet: Packet) {
        let Some(peer) = self.peer().filter(|peer| peer.is_up()) else {
            link.counters.drop_sent();
            return;
        };
        let Some(namespace) = peer.namespace() else { return };
        link.counters.send(packet.len());
        packet.link = Some(peer);
        // Another namespace's addresses are another matter.
        packet.tracking = Tracking::default();
        backlog::push(&namespace, packet);
    }
}
