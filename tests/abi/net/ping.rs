//! What ping and raw sockets hear of routers' complaints: IP_RECVERR of ip(7).

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendto, setsockopt, sockopt};

use super::lab::{Namespace, routed};
use crate::case::{Failure, Outcome, cases, check_eq, check_fails};

cases!("net":
    a_ping_socket_hears_what_became_of_its_request,
    a_raw_socket_hears_what_became_of_its_packet,
    who_does_not_ask_hears_nothing,
);

/// An echo request.
const REQUEST: [u8; 12] = [8, 0, 0, 0, 0, 0, 0, 1, b'p', b'i', b'n', b'g'];
const FAR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 2, 2), 0);

/// A socket of ICMP whose packets get no further than the first router.
fn open(namespace: &Namespace, kind: libc::c_int, wants_errors: bool) -> Outcome<OwnedFd> {
    namespace.enter(|| {
        fs::write("/proc/sys/net/ipv4/ping_group_range", "0 10")?;
        // SAFETY: takes no memory.
        let fd = Errno::result(unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_ICMP) })?;
        // SAFETY: new, and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        setsockopt(&socket, sockopt::Ipv4Ttl, &1)?;
        setsockopt(&socket, sockopt::Ipv4RecvErr, &wants_errors)?;
        Ok(socket)
    })
}

fn send(socket: &OwnedFd) -> nix::Result<usize> {
    sendto(socket.as_raw_fd(), &REQUEST, &SockaddrIn::from(FAR), MsgFlags::empty())
}

fn receive(socket: &OwnedFd, flags: MsgFlags) -> nix::Result<usize> {
    nix::sys::socket::recv(socket.as_raw_fd(), &mut [0; 64], flags)
}

/// Waits for the error; the payload that comes back with it, ICMP type and who says so.
fn complaint(socket: &OwnedFd) -> Outcome<(Vec<u8>, u8, Ipv4Addr)> {
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    check_eq!(poll(&mut polled, 3000_u16)?, 1);
    check_eq!(polled[0].revents(), Some(PollFlags::POLLERR));
    let (mut space, mut bytes) = (nix::cmsg_space!([u8; 64]), [0; 64]);
    let mut slices = [std::io::IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_ERRQUEUE)?;
    check_eq!(message.address.map(|address| address.ip()), Some(*FAR.ip()));
    let (len, told) = (message.bytes, message.cmsgs()?.next());
    let Some(ControlMessageOwned::Ipv4RecvErr(error, Some(offender))) = told else {
        return Err(Failure::wrong(format!("it was told {told:?}")));
    };
    check_eq!((error.ee_errno, error.ee_origin), (libc::EHOSTUNREACH as u32, libc::SO_EE_ORIGIN_ICMP));
    let address = Ipv4Addr::from(u32::from_be(offender.sin_addr.s_addr));
    Ok((bytes[..len].to_vec(), error.ee_type, address))
}

fn a_ping_socket_hears_what_became_of_its_request() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    let socket = open(&a, libc::SOCK_DGRAM, true)?;
    let other = open(&a, libc::SOCK_DGRAM, true)?;
    send(&socket)?;
    let (bytes, kind, offender) = complaint(&socket)?;
    check_eq!((&bytes[..2], &bytes[6..]), (&REQUEST[..2], &REQUEST[6..]));
    check_eq!((kind, offender), (11, Ipv4Addr::new(10, 9, 1, 1)));
    // Whoever has read that is not told once more.
    check_fails!(receive(&socket, MsgFlags::MSG_DONTWAIT), EAGAIN);
    check_fails!(receive(&socket, MsgFlags::MSG_ERRQUEUE), EAGAIN);
    check_fails!(receive(&other, MsgFlags::MSG_ERRQUEUE), EAGAIN);
    // Without reading it, the next call fails, once.
    send(&socket)?;
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    check_eq!(poll(&mut polled, 3000_u16)?, 1);
    check_fails!(receive(&socket, MsgFlags::MSG_DONTWAIT), EHOSTUNREACH);
    check_fails!(receive(&socket, MsgFlags::MSG_DONTWAIT), EAGAIN);
    complaint(&socket)?;
    Ok(())
}

fn a_raw_socket_hears_what_became_of_its_packet() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    let socket = open(&a, libc::SOCK_RAW, true)?;
    // Errors themselves are packets that it would see.
    let filter: u32 = !0;
    // SAFETY: the value is valid for its length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), 255, 1, (&raw const filter).cast(), 4) };
    Errno::result(result)?;
    send(&socket)?;
    let (bytes, kind, _) = complaint(&socket)?;
    check_eq!((&bytes[..], kind), (&REQUEST[..], 11));
    send(&socket)?;
    Ok(())
}

fn who_does_not_ask_hears_nothing() -> Outcome {
    let [a, router, _b] = routed()?;
    router.forward()?;
    let (socket, asking) = (open(&a, libc::SOCK_DGRAM, false)?, open(&a, libc::SOCK_DGRAM, true)?);
    send(&socket)?;
    send(&asking)?;
    complaint(&asking)?;
    check_fails!(receive(&socket, MsgFlags::MSG_ERRQUEUE), EAGAIN);
    check_fails!(receive(&socket, MsgFlags::MSG_DONTWAIT), EAGAIN);
    Ok(())
}
