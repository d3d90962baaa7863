//! Raw sockets (raw(7)) and ping sockets (icmp(7)).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, bind, getsockname, setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("inet":
    raw_sockets_need_a_capability,
    ping_sockets_are_for_the_groups_that_are_named,
    a_ping_socket_hears_the_answers_to_its_own_requests,
    a_raw_socket_sees_requests_and_answers,
    a_raw_socket_can_filter_types,
    a_raw_socket_can_bring_its_own_header,
);

const GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

fn open(kind: libc::c_int, protocol: libc::c_int) -> nix::Result<OwnedFd> {
    // SAFETY: takes no memory.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(2, 0))?;
    Ok(socket)
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> nix::Result<usize> {
    let to = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    nix::sys::socket::sendto(socket.as_raw_fd(), bytes, &to, nix::sys::socket::MsgFlags::empty())
}

fn receive(socket: &OwnedFd) -> nix::Result<Vec<u8>> {
    let mut bytes = vec![0; 2048];
    let (len, _) = nix::sys::socket::recvfrom::<SockaddrIn>(socket.as_raw_fd(), &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

/// An echo request, with its checksum.
fn echo(identifier: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0];
    bytes.extend_from_slice(&identifier.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes.extend_from_slice(data);
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn raw_sockets_need_a_capability() -> Outcome {
    check_fails!(open(libc::SOCK_RAW, 0), EPROTONOSUPPORT);
    open(libc::SOCK_RAW, libc::IPPROTO_ICMP)?;
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(open(libc::SOCK_RAW, libc::IPPROTO_ICMP), EPERM);
        Ok(())
    })
}

fn ping_sockets_are_for_the_groups_that_are_named() -> Outcome {
    std::fs::write(GROUPS, "1 0")?;
    check_fails!(open(libc::SOCK_DGRAM, libc::IPPROTO_ICMP), EACCES);
    std::fs::write(GROUPS, "0 10")?;
    open(libc::SOCK_DGRAM, libc::IPPROTO_ICMP)?;
    std::fs::write(GROUPS, "1 0")?;
    Ok(())
}

fn a_ping_socket_hears_the_answers_to_its_own_requests() -> Outcome {
    std::fs::write(GROUPS, "0 10")?;
    let (socket, other) =
        (open(libc::SOCK_DGRAM, libc::IPPROTO_ICMP)?, open(libc::SOCK_DGRAM, libc::IPPROTO_ICMP)?);
    std::fs::write(GROUPS, "1 0")?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 777)))?;
    check_eq!(getsockname::<SockaddrIn>(socket.as_raw_fd())?.port(), 777);
    check_fails!(send(&socket, &[0; 8]), EINVAL);
    check_fails!(send(&socket, &[8, 0]), EINVAL);
    // The identifier is the socket's, whatever the program says.
    check_eq!(send(&socket, &echo(5, b"abcd"))?, 12);
    let answer = receive(&socket)?;
    check_eq!(&answer[..2], [0, 0]);
    check_eq!(&answer[4..6], 777_u16.to_be_bytes());
    check_eq!(&answer[8..], b"abcd");
    setsockopt(&other, sockopt::ReceiveTimeout, &TimeVal::new(0, 10_000))?;
    check_fails!(receive(&other), EAGAIN);
    Ok(())
}

fn a_raw_socket_sees_requests_and_answers() -> Outcome {
    let socket = open(libc::SOCK_RAW, libc::IPPROTO_ICMP)?;
    send(&socket, &echo(4242, b"raw!"))?;
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let packet = receive(&socket)?;
        check_eq!((packet[0], packet[9]), (0x45, 1));
        check_eq!(&packet[24..26], 4242_u16.to_be_bytes());
        check_eq!(&packet[28..], b"raw!");
        kinds.push(packet[20]);
    }
    kinds.sort_unstable();
    check_eq!(kinds, [0, 8]);
    Ok(())
}

fn a_raw_socket_can_filter_types() -> Outcome {
    let socket = open(libc::SOCK_RAW, libc::IPPROTO_ICMP)?;
    // Everything but echo replies: what ping(8) sets.
    let filter: u32 = !1;
    // SAFETY: the value is valid for its length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), 255, 1, (&raw const filter).cast(), 4) };
    Errno::result(result)?;
    send(&socket, &echo(4243, b"only"))?;
    check_eq!(receive(&socket)?[20], 0);
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 10_000))?;
    check_fails!(receive(&socket), EAGAIN);
    Ok(())
}

fn a_raw_socket_can_bring_its_own_header() -> Outcome {
    let listener = open(libc::SOCK_RAW, 200)?;
    let sender = open(libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 9, 200, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    packet.extend_from_slice(b"payload");
    check_eq!(send(&sender, &packet)?, packet.len());
    let seen = receive(&listener)?;
    // Length and checksum are the kernel's.
    check_eq!(&seen[2..4], 27_u16.to_be_bytes());
    check!(seen[10..12] != [0, 0]);
    check_eq!((&seen[4..6], seen[8], &seen[20..]), (&[0x12, 0x34][..], 9, &b"payload"[..]));
    check_fails!(send(&sender, &packet[..10]), EINVAL);
    Ok(())
}
