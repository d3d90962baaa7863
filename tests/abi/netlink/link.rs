//! Links, addresses and routes, each case in a network namespace of its own.

use nix::sched::{CloneFlags, unshare};

use super::conversation::{Heard, Netlink, attribute, find, link_head, split, text, word};
use crate::case::{Failure, Outcome, cases, check, check_eq, skip};
use crate::child;

cases!("netlink":
    a_new_namespace_has_a_loopback_link_that_is_down,
    loopback_comes_up_with_its_address,
    changes_need_a_capability,
    addresses_come_and_go,
    routes_come_and_go,
    the_way_to_a_destination_is_told,
    changes_are_news,
    who_does_not_listen_learns_that_it_missed_something,
    lists_come_in_pieces,
    links_that_are_not_there_cannot_be_changed,
    a_pair_of_links_spans_two_namespaces,
    a_gateway_is_on_the_way,
    a_bridge_takes_ports,
);

const CREATE: libc::c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const UP: u32 = libc::IFF_UP as u32;

/// A socket in a new namespace.
fn fresh() -> Outcome<Netlink> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    Ok(Netlink::open(libc::NETLINK_ROUTE)?)
}

/// A `struct ifaddrmsg` with an address.
fn address(index: u32, octets: [u8; 4], prefix_len: u8) -> Vec<u8> {
    let head = [&[libc::AF_INET as u8, prefix_len, 0, 0][..], &index.to_ne_bytes()].concat();
    [head, attribute(libc::IFA_LOCAL, &octets), attribute(libc::IFA_ADDRESS, &octets)].concat()
}

/// A `struct rtmsg` with a destination, and a gateway or a link.
fn route(octets: [u8; 4], prefix_len: u8, gateway: Option<[u8; 4]>, link: Option<u32>) -> Vec<u8> {
    let scope = if gateway.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let mut bytes = vec![
        libc::AF_INET as u8,
        prefix_len,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_BOOT,
        scope,
        libc::RTN_UNICAST,
    ];
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend(attribute(libc::RTA_DST, &octets));
    if let Some(gateway) = gateway {
        bytes.extend(attribute(libc::RTA_GATEWAY, &gateway));
    }
    if let Some(link) = link {
        bytes.extend(attribute(libc::RTA_OIF, &link.to_ne_bytes()));
    }
    bytes
}

fn set_up(netlink: &mut Netlink, index: u32) -> Outcome {
    check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &link_head(index, UP, UP))?, 0);
    Ok(())
}

fn a_new_namespace_has_a_loopback_link_that_is_down() -> Outcome {
    let mut netlink = fresh()?;
    let all = netlink.ask(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_head(0, 0, 0), 16384)?;
    let links: Vec<_> = all.iter().filter(|heard| heard.kind == libc::RTM_NEWLINK).collect();
    let lo = links.iter().find(|link| find(&link.payload, 16, libc::IFLA_IFNAME).as_deref() == Some(b"lo\0"));
    let lo = lo.ok_or_else(|| Failure::wrong("no lo"))?;
    check_eq!(word(&lo.payload, 4), 1);
    check_eq!(word(&lo.payload, 8), libc::IFF_LOOPBACK as u32);
    check_eq!(u16::from_ne_bytes([lo.payload[2], lo.payload[3]]), libc::ARPHRD_LOOPBACK);
    let value = |kind| find(&lo.payload, 16, kind);
    check_eq!(value(libc::IFLA_MTU), Some(65536_u32.to_ne_bytes().to_vec()));
    check_eq!(value(libc::IFLA_ADDRESS), Some(vec![0; 6]));
    check_eq!(value(libc::IFLA_OPERSTATE), Some(vec![2]));
    check!(value(libc::IFLA_STATS64).is_some_and(|statistics| statistics.len() >= 192));
    check_eq!(all.last().map(|last| last.kind), Some(libc::NLMSG_DONE as u16));
    let none = netlink.ask(
        libc::RTM_GETADDR,
        libc::NLM_F_DUMP,
        &[libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0],
        16384,
    )?;
    check_eq!(none.len(), 1);
    Ok(())
}

fn loopback_comes_up_with_its_address() -> Outcome {
    let mut netlink = fresh()?;
    set_up(&mut netlink, 1)?;
    let all = netlink.ask(
        libc::RTM_GETADDR,
        libc::NLM_F_DUMP,
        &[libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0],
        16384,
    )?;
    check_eq!(all.len(), 2);
    let own = &all[0].payload;
    check_eq!(&own[..4], [libc::AF_INET as u8, 8, libc::IFA_F_PERMANENT as u8, libc::RT_SCOPE_HOST]);
    check_eq!(find(own, 8, libc::IFA_LOCAL), Some(vec![127, 0, 0, 1]));
    check_eq!(find(own, 8, libc::IFA_LABEL), Some(b"lo\0".to_vec()));
    Ok(())
}

fn changes_need_a_capability() -> Outcome {
    let mut netlink = fresh()?;
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &link_head(1, UP, UP))?, libc::EPERM);
        check_eq!(
            netlink.order(libc::RTM_DELROUTE, 0, &route([10, 0, 0, 0], 8, None, Some(1)))?,
            libc::EPERM
        );
        netlink.index_of("lo").map(drop)
    })
}

fn addresses_come_and_go() -> Outcome {
    let mut netlink = fresh()?;
    set_up(&mut netlink, 1)?;
    let own = address(1, [10, 1, 2, 3], 24);
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &own)?, 0);
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &own)?, libc::EEXIST);
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &address(99, [10, 1, 2, 4], 24))?, libc::ENODEV);
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &address(1, [10, 1, 2, 4], 33))?, libc::EINVAL);
    check_eq!(netlink.order(libc::RTM_DELADDR, 0, &own)?, 0);
    check_eq!(netlink.order(libc::RTM_DELADDR, 0, &own)?, libc::EADDRNOTAVAIL);
    Ok(())
}

fn routes_come_and_go() -> Outcome {
    let mut netlink = fresh()?;
    let direct = route([10, 2, 0, 0], 16, None, Some(1));
    check_eq!(netlink.order(libc::RTM_NEWROUTE, CREATE, &direct)?, libc::ENETDOWN);
    set_up(&mut netlink, 1)?;
    check_eq!(netlink.order(libc::RTM_NEWROUTE, CREATE, &direct)?, 0);
    check_eq!(netlink.order(libc::RTM_NEWROUTE, CREATE, &direct)?, libc::EEXIST);
    check_eq!(netlink.order(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_REPLACE, &direct)?, 0);
    let far = route([10, 3, 0, 0], 16, Some([192, 168, 9, 9]), None);
    check_eq!(netlink.order(libc::RTM_NEWROUTE, CREATE, &far)?, libc::ENETUNREACH);
    check_eq!(
        netlink.order(libc::RTM_NEWROUTE, CREATE, &route([10, 2, 0, 1], 16, None, Some(1)))?,
        libc::EINVAL
    );
    check_eq!(
        netlink.order(libc::RTM_NEWROUTE, libc::NLM_F_REPLACE, &route([10, 4, 0, 0], 16, None, Some(1)))?,
        libc::ENOENT
    );
    check_eq!(netlink.order(libc::RTM_DELROUTE, 0, &direct)?, 0);
    check_eq!(netlink.order(libc::RTM_DELROUTE, 0, &direct)?, libc::ESRCH);
    Ok(())
}

/// Asks for the way to a destination.
fn way_to(netlink: &mut Netlink, octets: [u8; 4]) -> Outcome<Vec<Heard>> {
    let mut head = vec![0_u8; 12];
    (head[0], head[1]) = (libc::AF_INET as u8, 32);
    netlink.ask(libc::RTM_GETROUTE, 0, &[head, attribute(libc::RTA_DST, &octets)].concat(), 16384)
}

fn the_way_to_a_destination_is_told() -> Outcome {
    let mut netlink = fresh()?;
    let heard = way_to(&mut netlink, [10, 9, 9, 9])?;
    check_eq!(word(&heard[0].payload, 0).cast_signed(), -libc::ENETUNREACH);
    set_up(&mut netlink, 1)?;
    let heard = way_to(&mut netlink, [127, 0, 0, 1])?;
    let way = &heard[0].payload;
    check_eq!((heard[0].kind, way[7]), (libc::RTM_NEWROUTE, libc::RTN_LOCAL));
    check_eq!(find(way, 12, libc::RTA_OIF), Some(1_u32.to_ne_bytes().to_vec()));
    check_eq!(find(way, 12, libc::RTA_PREFSRC), Some(vec![127, 0, 0, 1]));
    Ok(())
}

fn changes_are_news() -> Outcome {
    let mut netlink = fresh()?;
    let listener = Netlink::open(libc::NETLINK_ROUTE)?;
    listener.bind(0, (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV4_ROUTE) as u32)?;
    set_up(&mut netlink, 1)?;
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &address(1, [10, 1, 2, 3], 24))?, 0);
    check_eq!(netlink.order(libc::RTM_DELADDR, 0, &address(1, [10, 1, 2, 3], 24))?, 0);
    let mut kinds = Vec::new();
    while let Ok(bytes) = listener.receive(16384, libc::MSG_DONTWAIT) {
        kinds.extend(split(&bytes)?.iter().map(|heard| heard.kind));
    }
    for kind in
        [libc::RTM_NEWLINK, libc::RTM_NEWADDR, libc::RTM_NEWROUTE, libc::RTM_DELADDR, libc::RTM_DELROUTE]
    {
        check!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    Ok(())
}

fn who_does_not_listen_learns_that_it_missed_something() -> Outcome {
    let mut netlink = fresh()?;
    let listener = Netlink::open(libc::NETLINK_ROUTE)?;
    nix::sys::socket::setsockopt(&listener.socket, nix::sys::socket::sockopt::RcvBuf, &4096)?;
    listener.bind(0, libc::RTMGRP_LINK as u32)?;
    for round in 0..20 {
        check_eq!(
            netlink.order(libc::RTM_NEWLINK, 0, &link_head(1, if round % 2 == 0 { UP } else { 0 }, UP))?,
            0
        );
    }
    let mut results = std::iter::repeat_with(|| listener.receive(16384, libc::MSG_DONTWAIT)).take(30);
    check!(results.any(|result| result == Err(nix::errno::Errno::ENOBUFS)));
    Ok(())
}

fn lists_come_in_pieces() -> Outcome {
    let mut netlink = fresh()?;
    set_up(&mut netlink, 1)?;
    for number in 0..250 {
        check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &address(1, [10, 7, number, 1], 24))?, 0);
    }
    let head = [libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0];
    for room in [4096, 8192, 65536] {
        // Pieces grow with the room that a socket's reader has shown.
        let all =
            Netlink::open(libc::NETLINK_ROUTE)?.ask(libc::RTM_GETADDR, libc::NLM_F_DUMP, &head, room)?;
        let mut found: Vec<_> =
            all.iter().filter_map(|heard| find(&heard.payload, 8, libc::IFA_LOCAL)).collect();
        found.sort();
        found.dedup();
        check_eq!((room, found.len()), (room, 251));
    }
    // One list at a time.
    netlink.send(libc::RTM_GETADDR, libc::NLM_F_REQUEST | libc::NLM_F_DUMP, &head)?;
    netlink.send(libc::RTM_GETADDR, libc::NLM_F_REQUEST | libc::NLM_F_DUMP, &head)?;
    let mut heard = split(&netlink.receive(65536, 0)?)?;
    heard.extend(split(&netlink.receive(65536, 0)?)?);
    let error = heard.iter().find(|heard| heard.kind == libc::NLMSG_ERROR as u16);
    check_eq!(error.map(|error| word(&error.payload, 0).cast_signed()), Some(-libc::EBUSY));
    Ok(())
}

fn links_that_are_not_there_cannot_be_changed() -> Outcome {
    let mut netlink = fresh()?;
    check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &link_head(99, UP, UP))?, libc::ENODEV);
    check_eq!(netlink.order(libc::RTM_SETLINK, 0, &link_head(99, UP, UP))?, libc::ENODEV);
    check_eq!(netlink.order(libc::RTM_DELLINK, 0, &link_head(99, 0, 0))?, libc::ENODEV);
    check_eq!(netlink.order(libc::RTM_DELLINK, 0, &link_head(1, 0, 0))?, libc::EOPNOTSUPP);
    let nonsense = [
        link_head(0, 0, 0),
        text(libc::IFLA_IFNAME, "x"),
        attribute(libc::IFLA_LINKINFO, &text(1, "nonsense")),
    ];
    check_eq!(netlink.order(libc::RTM_NEWLINK, CREATE, &nonsense.concat())?, libc::EOPNOTSUPP);
    let long = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "a-name-that-is-too-long")].concat();
    check_eq!(netlink.order(libc::RTM_NEWLINK, CREATE, &long)?, libc::ERANGE);
    check_eq!(netlink.order(libc::RTM_NEWLINK, 0, &[0])?, libc::EINVAL);
    Ok(())
}

/// Makes a link of a kind, unless the machine has no such links.
fn make(netlink: &mut Netlink, name: &str, kind: &str, data: &[u8]) -> Outcome {
    let info = [text(1, kind), attribute(2, data)].concat();
    let payload =
        [link_head(0, 0, 0), text(libc::IFLA_IFNAME, name), attribute(libc::IFLA_LINKINFO, &info)].concat();
    match netlink.order(libc::RTM_NEWLINK, CREATE, &payload)? {
        libc::EOPNOTSUPP => skip!("this kernel has no {kind}"),
        0 => Ok(()),
        errno => Err(Failure::wrong(format!("a {kind} cannot be made: {errno}"))),
    }
}

fn a_pair_of_links_spans_two_namespaces() -> Outcome {
    let mut outer = fresh()?;
    let before = std::fs::File::open("/proc/self/ns/net")?;
    let mut inner = fresh()?;
    let inner_file = std::fs::File::open("/proc/self/ns/net")?;
    nix::sched::setns(&before, CloneFlags::CLONE_NEWNET)?;

    let fd = std::os::fd::AsRawFd::as_raw_fd(&inner_file).cast_unsigned();
    let peer = [
        link_head(0, 0, 0),
        text(libc::IFLA_IFNAME, "eth0"),
        attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes()),
    ];
    make(&mut outer, "veth7", "veth", &attribute(1, &peer.concat()))?;
    let (near, far) = (outer.index_of("veth7")?, inner.index_of("eth0")?);
    set_up(&mut outer, near)?;
    set_up(&mut inner, far)?;
    let named = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "eth0")].concat();
    let heard = inner.ask(libc::RTM_GETLINK, 0, &named, 16384)?;
    check!(word(&heard[0].payload, 8) & libc::IFF_RUNNING as u32 != 0);
    check_eq!(find(&heard[0].payload, 16, libc::IFLA_LINK), Some(near.to_ne_bytes().to_vec()));
    check!(find(&heard[0].payload, 16, 37).is_some(), "no IFLA_LINK_NETNSID");
    let info =
        find(&heard[0].payload, 16, libc::IFLA_LINKINFO).ok_or_else(|| Failure::wrong("no link info"))?;
    check_eq!(find(&info, 0, 1).map(|kind| kind.starts_with(b"veth")), Some(true));
    // One end goes, and so does the other.
    check_eq!(outer.order(libc::RTM_DELLINK, 0, &link_head(near, 0, 0))?, 0);
    let heard = inner.ask(libc::RTM_GETLINK, 0, &named, 16384)?;
    check_eq!(word(&heard[0].payload, 0).cast_signed(), -libc::ENODEV);
    Ok(())
}

fn a_gateway_is_on_the_way() -> Outcome {
    let mut netlink = fresh()?;
    make(&mut netlink, "veth7", "veth", &[])?;
    let link = netlink.index_of("veth7")?;
    set_up(&mut netlink, link)?;
    check_eq!(netlink.order(libc::RTM_NEWADDR, CREATE, &address(link, [10, 5, 0, 1], 24))?, 0);
    let far = route([10, 6, 0, 0], 16, Some([10, 5, 0, 9]), None);
    check_eq!(netlink.order(libc::RTM_NEWROUTE, CREATE, &far)?, 0);
    let heard = way_to(&mut netlink, [10, 6, 1, 1])?;
    let way = &heard[0].payload;
    check_eq!(way[7], libc::RTN_UNICAST);
    check_eq!(find(way, 12, libc::RTA_GATEWAY), Some(vec![10, 5, 0, 9]));
    check_eq!(find(way, 12, libc::RTA_PREFSRC), Some(vec![10, 5, 0, 1]));
    check_eq!(find(way, 12, libc::RTA_OIF), Some(link.to_ne_bytes().to_vec()));
    Ok(())
}

fn a_bridge_takes_ports() -> Outcome {
    let mut netlink = fresh()?;
    make(&mut netlink, "br7", "bridge", &[])?;
    let bridge = netlink.index_of("br7")?;
    make(&mut netlink, "port7", "veth", &[])?;
    let port = netlink.index_of("port7")?;
    let enslave =
        |master: u32| [link_head(port, 0, 0), attribute(libc::IFLA_MASTER, &master.to_ne_bytes())].concat();
    check_eq!(netlink.order(libc::RTM_SETLINK, 0, &enslave(bridge))?, 0);
    let named = [link_head(port, 0, 0)].concat();
    let master = |netlink: &mut Netlink| -> Outcome<Option<Vec<u8>>> {
        let heard = netlink.ask(libc::RTM_GETLINK, 0, &named, 16384)?;
        Ok(find(&heard[0].payload, 16, libc::IFLA_MASTER))
    };
    check_eq!(master(&mut netlink)?, Some(bridge.to_ne_bytes().to_vec()));
    check_eq!(netlink.order(libc::RTM_SETLINK, 0, &enslave(1))?, libc::EOPNOTSUPP);
    check_eq!(netlink.order(libc::RTM_SETLINK, 0, &enslave(0))?, 0);
    check_eq!(master(&mut netlink)?, None);
    Ok(())
}
