//! RTM_*LINK.

use super::link_at;
use crate::error::{Errno, Error, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::net::link::{Device, Link, bridge, dummy, veth};
use crate::net::netlink::dump::list;
use crate::net::netlink::request::{Answer, Request};
use crate::net::ns::{Configuration, NetNs, configure};
use crate::syscall::Fd;
use crate::thread::Thread;
use alloc::string::String;
use alloc::sync::Arc;
use coffer_abi_types::netlink::{
    IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING, NLM_F_CREATE, NLM_F_EXCL, RTEXT_FILTER_SKIP_STATS,
    RTM_NEWLINK, rtnl_link_stats64,
};
use coffer_netlink::Body;
use coffer_netlink::rtnetlink::link::{Place, Report, Request as Wanted};
use core::sync::atomic::Ordering;
use smoltcp::wire::EthernetAddress;

/// States of RFC 2863.
const STATE_UNKNOWN: u8 = 0;
const STATE_DOWN: u8 = 2;
const STATE_LOWER_LAYER_DOWN: u8 = 3;
const STATE_UP: u8 = 6;

/// How many settings of IPv4 a link has (IPV4_DEVCONF_MAX), and which is `forwarding`.
const SETTINGS: usize = 33;
const SETTING_FORWARDING: usize = 0;

/// RTM_GETLINK.
pub fn show(request: &Request<'_>) -> Result<Answer> {
    let namespace = request.namespace();
    if request.wants_list() {
        let (head, attributes) = request.message.split_lenient();
        let wanted = Wanted::from_parts(head, attributes)?;
        let mut links = namespace.links();
        links.retain(|link| {
            let is_port = |index| link.master().is_some_and(|master| master.index() == index);
            wanted.master.is_none_or(|index| index == 0 || is_port(index))
                && wanted.kind.is_none_or(|kind| link.kind() == Some(kind))
        });
        // Of AF_BRIDGE, ports; of other families, no link has anything to tell.
        if !matches!(head.ifi_family, 0 | AF_PACKET) {
            links.clear();
        }
        return request.list(list(RTM_NEWLINK, links, move |link, body| write(link, 0, wanted.extra, body)));
    }
    let wanted = Wanted::read(&request.message)?;
    let link = find(namespace, &wanted)?;
    request.reply(RTM_NEWLINK, |body| write(&link, 0, wanted.extra, body))
}

/// AF_PACKET.
const AF_PACKET: u8 = 17;

/// RTM_NEWLINK: changes the link that it names, or makes one.
pub fn create_or_change(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let configuration = configure();
    let namespace = request.namespace();
    match find(namespace, &wanted) {
        Ok(_) if request.has(NLM_F_EXCL) => Err(Errno::EEXIST.into()),
        Ok(link) => {
            if wanted.kind.is_some_and(|kind| link.kind() != Some(kind)) {
                return Err(Error::with(Errno::EOPNOTSUPP, "a link stays what it is"));
            }
            apply(&configuration, namespace, &link, &wanted).map(|()| Answer::Done)
        }
        Err(_) if request.has(NLM_F_CREATE) => {
            create(&configuration, namespace, &wanted).map(|()| Answer::Done)
        }
        Err(error) => Err(error),
    }
}

/// RTM_SETLINK.
pub fn change(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let configuration = configure();
    let link = find(request.namespace(), &wanted)?;
    apply(&configuration, request.namespace(), &link, &wanted).map(|()| Answer::Done)
}

/// RTM_DELLINK.
pub fn delete(request: &Request<'_>) -> Result<Answer> {
    let wanted = Wanted::read(&request.message)?;
    let configuration = configure();
    find(request.namespace(), &wanted)?.delete(&configuration).map(|()| Answer::Done)
}

/// The link that a request names by its index or, without one, by its name.
fn find(namespace: &NetNs, wanted: &Wanted<'_>) -> Result<Arc<Link>> {
    match (wanted.head.ifi_index.cast_unsigned(), wanted.name) {
        (0, Some(name)) => namespace.link_by_name(name).ok_or(Errno::ENODEV.into()),
        (0, None) => Err(Error::with(Errno::EINVAL, "the link has neither index nor name")),
        (index, _) => link_at(namespace, index),
    }
}

fn create(configuration: &Configuration, namespace: &Arc<NetNs>, wanted: &Wanted<'_>) -> Result<()> {
    let kind = wanted.kind.ok_or(Error::with(Errno::EOPNOTSUPP, "the link has no kind"))?;
    let target = destination(wanted)?.unwrap_or_else(|| namespace.clone());
    let master =
        wanted.master.filter(|index| *index != 0).map(|index| link_at(namespace, index)).transpose()?;
    let mac = wanted.address.map(mac_address).transpose()?;
    let created = match kind {
        "veth" => {
            let peer = wanted.peer()?.unwrap_or_default();
            let peer_target = destination(&peer)?.unwrap_or_else(|| namespace.clone());
            let peer_mac = peer.address.map(mac_address).transpose()?;
            let name = target.free_name(wanted.name.unwrap_or("veth%d"))?;
            let peer_name = match peer.name {
                Some(peer_name) => peer_target.free_name(peer_name)?,
                // Both may be asked to be the next in the same place.
                None => other_than(&peer_target, &name)?,
            };
            if peer_name == name && Arc::ptr_eq(&target, &peer_target) {
                return Err(Errno::EEXIST.into());
            }
            let ends = [
                veth::End { namespace: &target, name, mac, index: index_of(wanted) },
                veth::End { namespace: &peer_target, name: peer_name, mac: peer_mac, index: index_of(&peer) },
            ];
            let [link, other] = veth::create(configuration, ends)?;
            let rest = Wanted { address: None, name: None, place: None, ..peer };
            apply(configuration, &peer_target, &other, &rest).inspect_err(|_| {
                // A veth can always be taken away.
                let _ = other.delete(configuration);
            })?;
            link
        }
        "dummy" => {
            let name = target.free_name(wanted.name.unwrap_or("dummy%d"))?;
            dummy::create(configuration, &target, name, mac, index_of(wanted))?
        }
        "bridge" => {
            for setting in [IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING] {
                if wanted
                    .data
                    .find(setting)
                    .is_some_and(|setting| setting.value.iter().any(|byte| *byte != 0))
                {
                    return Err(Error::with(
                        Errno::EOPNOTSUPP,
                        "bridges here know no spanning trees and no VLANs",
                    ));
                }
            }
            let name = target.free_name(wanted.name.unwrap_or("bridge%d"))?;
            let link = bridge::create(configuration, &target, name, index_of(wanted))?;
            if let Some(mac) = mac {
                link.set_mac(mac)?;
            }
            link
        }
        _ => return Err(Error::with(Errno::EOPNOTSUPP, "unknown kind of link")),
    };
    let rest = Wanted { address: None, name: None, place: None, master: None, ..*wanted };
    let result = apply(configuration, &target, &created, &rest).and_then(|()| match &master {
        Some(master) => bridge::set_master(configuration, &created, Some(master)),
        None => Ok(()),
    });
    result.inspect_err(|_| {
        // Such links can always be taken away.
        let _ = created.delete(configuration);
    })
}

/// The first free name after `name`.
fn other_than(namespace: &NetNs, name: &str) -> Result<String> {
    let free = namespace.free_name("veth%d")?;
    if free != name {
        return Ok(free);
    }
    let number = name.trim_start_matches("veth").parse::<u32>().unwrap_or(0);
    (number + 1..)
        .take(4096)
        .map(|number| alloc::format!("veth{number}"))
        .find(|name| namespace.link_by_name(name).is_none())
        .ok_or(Errno::ENFILE.into())
}

fn index_of(wanted: &Wanted<'_>) -> Option<u32> {
    Some(wanted.head.ifi_index.cast_unsigned()).filter(|index| *index != 0)
}

/// Makes a link what is wanted, in the order of Linux's do_setlink: place, hardware address, MTU, name, master, queue, flags.
fn apply(
    configuration: &Configuration,
    namespace: &Arc<NetNs>,
    link: &Arc<Link>,
    wanted: &Wanted<'_>,
) -> Result<()> {
    let mut namespace = namespace.clone();
    let mut name = wanted.name.filter(|name| !name.is_empty() && !link.has_name(name));
    if let Some(target) = destination(wanted)? {
        link.move_to(configuration, &target, name.take())?;
        namespace = target;
    }
    let mut is_changed = false;
    if let Some(address) = wanted.address {
        link.set_mac(mac_address(address)?)?;
        is_changed = true;
    }
    if let Some(mtu) = wanted.mtu {
        link.set_mtu(mtu)?;
        is_changed = true;
    }
    if let Some(name) = name {
        namespace.rename_link(configuration, link, name)?;
    }
    match wanted.master {
        Some(0) => bridge::set_master(configuration, link, None)?,
        Some(index) => bridge::set_master(configuration, link, Some(&link_at(&namespace, index)?))?,
        None => {}
    }
    if let Some(len) = wanted.queue_len {
        link.set_queue_len(len);
        is_changed = true;
    }
    if is_changed {
        namespace.note_link_change(configuration, link);
    }
    // Without a mask all flags count, as they did before there was one.
    let mask = match (wanted.head.ifi_flags, wanted.head.ifi_change) {
        (0, 0) => 0,
        (_, 0) => u32::MAX,
        (_, mask) => mask,
    };
    namespace.set_link_flags(configuration, link, wanted.head.ifi_flags, mask);
    Ok(())
}

fn mac_address(bytes: &[u8]) -> Result<EthernetAddress> {
    let bytes = <[u8; 6]>::try_from(bytes)
        .map_err(|_| Error::with(Errno::EINVAL, "a hardware address has six bytes"))?;
    Ok(EthernetAddress(bytes))
}

/// The network namespace that a link is to go to.
fn destination(wanted: &Wanted<'_>) -> Result<Option<Arc<NetNs>>> {
    let Some(place) = wanted.place else { return Ok(None) };
    let thread = Thread::current().ok_or(Errno::ESRCH)?;
    let process = thread.process();
    let namespace = match place {
        Place::Process(pid) => {
            let id = process.pid_namespace().find(pid).ok_or(Errno::ESRCH)?;
            let found = id.process().ok_or(Errno::ESRCH)?;
            found.namespaces()?.net.clone()
        }
        Place::File(fd) => {
            let file = process.fds().get(Fd(fd.cast_signed())).map_err(|_| Errno::EINVAL)?;
            match Namespace::of_file(&file) {
                Some(Namespace::Net(namespace)) => namespace,
                _ => return Err(Error::with(Errno::EINVAL, "the file is no network namespace")),
            }
        }
    };
    Ok(Some(namespace))
}

/// RFC 2863's state of a link.
pub fn operational_state(link: &Link) -> u8 {
    match link.device() {
        _ if !link.is_up() => STATE_DOWN,
        // Nobody looks whether there is a carrier.
        Device::Loopback | Device::Dummy => STATE_UNKNOWN,
        _ if link.has_carrier() => STATE_UP,
        Device::Veth(_) => STATE_LOWER_LAYER_DOWN,
        _ => STATE_DOWN,
    }
}

/// Writes what there is to tell of a link.
pub fn write(link: &Arc<Link>, change: u32, extra: u32, body: &mut Body<'_>) {
    let name = link.name();
    let mac = link.mac().0;
    let broadcast = if link.is_loopback() { [0; 6] } else { [0xff; 6] };
    let (min_mtu, max_mtu) = link.mtu_limits();
    let namespace = link.namespace();
    let mut settings = [0; SETTINGS];
    settings[SETTING_FORWARDING] = namespace
        .as_ref()
        .map_or(0, |namespace| u32::from(namespace.settings.ip_forward.load(Ordering::Relaxed)));
    let peer = link.peer().map(|peer| {
        let is_here = match (peer.namespace(), &namespace) {
            (Some(other), Some(own)) => Arc::ptr_eq(&other, own),
            _ => false,
        };
        // Namespaces have no numbers in each other: 0 stands for whichever it is.
        (peer.index(), (!is_here).then_some(0))
    });
    let report = Report {
        hardware: link.hardware_type(),
        index: link.index(),
        flags: link.flags(),
        change,
        name: &name,
        address: &mac,
        broadcast: &broadcast,
        mtu: link.mtu(),
        min_mtu,
        max_mtu: if max_mtu == i32::MAX as u32 { 0 } else { max_mtu },
        queue_len: link.queue_len(),
        queue: if link.is_up() { "noqueue" } else { "noop" },
        operational_state: operational_state(link),
        has_carrier: link.is_up() && link.has_carrier(),
        promiscuity: link.promiscuity(),
        master: link.master().map(|master| master.index()),
        peer,
        kind: link.kind(),
        port_kind: link.master().map(|_| "bridge"),
        statistics: (extra & RTEXT_FILTER_SKIP_STATS == 0).then(|| statistics(link)),
        ipv4_settings: &settings,
    };
    report.write(body);
}

fn statistics(link: &Link) -> rtnl_link_stats64 {
    let (received, sent) = (link.counters.received(), link.counters.sent());
    rtnl_link_stats64 {
        rx_packets: received.packets,
        tx_packets: sent.packets,
        rx_bytes: received.bytes,
        tx_bytes: sent.bytes,
        rx_errors: received.errors,
        tx_errors: sent.errors,
        rx_dropped: received.dropped,
        tx_dropped: sent.dropped,
        ..rtnl_link_stats64::default()
    }
}
