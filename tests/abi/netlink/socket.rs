//! The socket: ports, groups, acknowledgements, lists in pieces.

use super::conversation::{Netlink, attribute, find, link_head, split, text, word};
use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("netlink":
    a_socket_gets_the_port_of_its_process,
    a_port_is_one_sockets_only,
    unknown_protocols_and_types_are_refused,
    what_is_done_is_acknowledged,
    an_error_comes_with_the_request,
    capped_answers_leave_the_request_out,
    several_requests_in_one_datagram_are_all_served,
    a_message_without_the_request_flag_is_only_acknowledged,
    a_cut_message_is_ignored,
    peeking_tells_the_length,
    messages_to_nobody_are_refused,
    membership_reads_back,
    the_controller_of_generic_netlink_finds_itself,
);

const ROUTE: libc::c_int = libc::NETLINK_ROUTE;
const ERROR: u16 = libc::NLMSG_ERROR as u16;

fn a_socket_gets_the_port_of_its_process() -> Outcome {
    let (first, second) = (Netlink::open(ROUTE)?, Netlink::open(ROUTE)?);
    check_eq!(first.name()?, (0, 0));
    first.bind(0, 0)?;
    second.bind(0, 0)?;
    check_eq!(first.name()?.0, std::process::id());
    let other = second.name()?.0;
    check!(other != 0 && other != std::process::id());
    Ok(())
}

fn a_port_is_one_sockets_only() -> Outcome {
    let (first, second) = (Netlink::open(ROUTE)?, Netlink::open(ROUTE)?);
    first.bind(77777, 0)?;
    check_fails!(second.bind(77777, 0), EADDRINUSE);
    check_fails!(first.bind(77778, 0), EINVAL);
    first.bind(77777, 1)?;
    check_eq!(first.name()?, (77777, 1));
    drop(first);
    second.bind(77777, 0)?;
    // Of another protocol, it is another port.
    Netlink::open(libc::NETLINK_USERSOCK)?.bind(77777, 0)?;
    Ok(())
}

fn unknown_protocols_and_types_are_refused() -> Outcome {
    check_fails!(Netlink::open(31), EPROTONOSUPPORT);
    // SAFETY: takes no memory.
    let stream = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_STREAM, ROUTE) };
    check_fails!(nix::errno::Errno::result(stream), ESOCKTNOSUPPORT);
    let mut netlink = Netlink::open(ROUTE)?;
    check_eq!(netlink.order(124, 0, &[0])?, libc::EOPNOTSUPP);
    Ok(())
}

fn what_is_done_is_acknowledged() -> Outcome {
    let mut netlink = Netlink::open(ROUTE)?;
    let lo = netlink.index_of("lo")?;
    let payload = [link_head(lo, 0, 0), attribute(libc::IFLA_TXQLEN, &1000_u32.to_ne_bytes())].concat();
    let heard = netlink.ask(libc::RTM_NEWLINK, libc::NLM_F_ACK, &payload, 4096)?;
    check_eq!(heard.len(), 1);
    let ack = &heard[0];
    check_eq!((ack.kind, ack.port), (ERROR, std::process::id()));
    check_eq!(ack.flags, libc::NLM_F_CAPPED as u16);
    check_eq!(word(&ack.payload, 0), 0);
    // The head of the request, and no more.
    check_eq!(ack.payload.len(), 20);
    check_eq!(word(&ack.payload, 12), ack.sequence);
    Ok(())
}

fn an_error_comes_with_the_request() -> Outcome {
    let mut netlink = Netlink::open(ROUTE)?;
    let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "nothing")].concat();
    let heard = netlink.ask(libc::RTM_GETLINK, 0, &payload, 4096)?;
    check_eq!((heard.len(), heard[0].kind, heard[0].flags), (1, ERROR, 0));
    check_eq!(word(&heard[0].payload, 0).cast_signed(), -libc::ENODEV);
    check_eq!(&heard[0].payload[20..], &payload[..]);
    Ok(())
}

fn capped_answers_leave_the_request_out() -> Outcome {
    let mut netlink = Netlink::open(ROUTE)?;
    netlink.set_option(libc::NETLINK_CAP_ACK, 1)?;
    netlink.set_option(libc::NETLINK_EXT_ACK, 1)?;
    let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "nothing")].concat();
    let heard = netlink.ask(libc::RTM_GETLINK, 0, &payload, 4096)?;
    check!(heard[0].flags & libc::NLM_F_CAPPED as u16 != 0);
    check_eq!(word(&heard[0].payload, 0).cast_signed(), -libc::ENODEV);
    Ok(())
}

fn several_requests_in_one_datagram_are_all_served() -> Outcome {
    let netlink = Netlink::open(ROUTE)?;
    let mut bytes = Vec::new();
    for sequence in 1..=3_u32 {
        let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "lo")].concat();
        bytes.extend_from_slice(&(16 + payload.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&libc::RTM_GETLINK.to_ne_bytes());
        bytes.extend_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&payload);
    }
    netlink.send_bytes(&bytes, 0)?;
    for sequence in 1..=3 {
        let heard = split(&netlink.receive(16384, 0)?)?;
        check_eq!((heard.len(), heard[0].kind, heard[0].sequence), (1, libc::RTM_NEWLINK, sequence));
    }
    Ok(())
}

fn a_message_without_the_request_flag_is_only_acknowledged() -> Outcome {
    let mut netlink = Netlink::open(ROUTE)?;
    let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "lo")].concat();
    netlink.send(libc::RTM_GETLINK, libc::NLM_F_ACK, &payload)?;
    let heard = split(&netlink.receive(16384, libc::MSG_DONTWAIT)?)?;
    check_eq!((heard.len(), heard[0].kind, word(&heard[0].payload, 0)), (1, ERROR, 0));
    Ok(())
}

fn a_cut_message_is_ignored() -> Outcome {
    let netlink = Netlink::open(ROUTE)?;
    netlink.send_bytes(&[1, 2, 3], 0)?;
    let mut long = [0; 20];
    long[..4].copy_from_slice(&1000_u32.to_ne_bytes());
    netlink.send_bytes(&long, 0)?;
    check_fails!(netlink.receive(4096, libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn peeking_tells_the_length() -> Outcome {
    let mut netlink = Netlink::open(ROUTE)?;
    let payload = [link_head(0, 0, 0), text(libc::IFLA_IFNAME, "lo")].concat();
    netlink.send(libc::RTM_GETLINK, libc::NLM_F_REQUEST, &payload)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&netlink.socket);
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC;
    // SAFETY: no room is given.
    let len = nix::errno::Errno::result(unsafe { libc::recv(fd, std::ptr::null_mut(), 0, flags) })?;
    check!(len > 100);
    check_eq!(netlink.receive(16384, 0)?.len(), len as usize);
    Ok(())
}

fn messages_to_nobody_are_refused() -> Outcome {
    let netlink = Netlink::open(libc::NETLINK_USERSOCK)?;
    check_fails!(netlink.send_bytes(b"to the kernel", 0), ECONNREFUSED);
    check_fails!(netlink.send_bytes(b"to nobody", 99999), ECONNREFUSED);
    let other = Netlink::open(libc::NETLINK_USERSOCK)?;
    other.bind(88888, 0)?;
    netlink.send_bytes(b"to somebody", 88888)?;
    check_eq!(other.receive(64, 0)?, b"to somebody");
    Ok(())
}

fn membership_reads_back() -> Outcome {
    let netlink = Netlink::open(ROUTE)?;
    netlink.set_option(libc::NETLINK_ADD_MEMBERSHIP, 1)?;
    netlink.set_option(libc::NETLINK_ADD_MEMBERSHIP, 5)?;
    netlink.set_option(libc::NETLINK_DROP_MEMBERSHIP, 1)?;
    check_eq!(netlink.name()?.1, 1 << 4);
    check_fails!(netlink.set_option(libc::NETLINK_ADD_MEMBERSHIP, 0), EINVAL);
    check_fails!(netlink.set_option(libc::NETLINK_ADD_MEMBERSHIP, 5000), EINVAL);
    check_fails!(netlink.set_option(99, 1), ENOPROTOOPT);
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        // What programs tell each other is not for everybody.
        check_fails!(Netlink::open(libc::NETLINK_USERSOCK)?.bind(0, 1), EPERM);
        Ok(Netlink::open(ROUTE)?.bind(0, 1)?)
    })
}

fn the_controller_of_generic_netlink_finds_itself() -> Outcome {
    let mut netlink = Netlink::open(libc::NETLINK_GENERIC)?;
    let asked = |name| {
        [vec![libc::CTRL_CMD_GETFAMILY as u8, 1, 0, 0], text(libc::CTRL_ATTR_FAMILY_NAME as u16, name)]
            .concat()
    };
    let heard = netlink.ask(libc::GENL_ID_CTRL as u16, 0, &asked("nlctrl"), 4096)?;
    let number = find(&heard[0].payload, 4, libc::CTRL_ATTR_FAMILY_ID as u16);
    check_eq!(number.ok_or_else(|| Failure::wrong("no number"))?, (libc::GENL_ID_CTRL as u16).to_ne_bytes());
    let heard = netlink.ask(libc::GENL_ID_CTRL as u16, 0, &asked("no such thing"), 4096)?;
    check_eq!(word(&heard[0].payload, 0).cast_signed(), -libc::ENOENT);
    Ok(())
}
