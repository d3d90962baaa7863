//! Datagrams: udp(7).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendto};

use super::{events, flags, option_of, set_option};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("inet":
    datagrams_keep_their_boundaries_over_udp,
    a_long_datagram_is_cut_and_told,
    an_empty_datagram_is_one,
    a_connected_socket_takes_from_its_peer_only,
    a_refusal_reaches_a_connected_socket,
    an_unconnected_socket_hears_of_no_refusal,
    the_error_queue_tells_of_a_refusal,
    broadcast_needs_permission,
    sending_needs_a_destination,
    a_datagram_may_be_too_long,
    dissolving_gives_the_port_up,
    peeking_leaves_a_datagram,
    pktinfo_tells_where_a_datagram_went,
    ttl_and_tos_are_told,
    timestamps_are_told,
    shutdown_wakes_a_receiver_without_a_peer,
    poll_tells_of_datagrams,
    a_full_queue_drops,
    the_more_exact_socket_gets_the_datagram,
    recvmmsg_and_sendmmsg_take_several,
    ioctl_tells_the_next_length,
    a_group_on_the_loopback_link,
);

fn here() -> std::io::Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn datagrams_keep_their_boundaries_over_udp() -> Outcome {
    let ((one, from), (other, to)) = (here()?, here()?);
    one.send_to(b"first", to)?;
    one.send_to(b"second one", to)?;
    let mut buffer = [0; 64];
    check_eq!(other.recv_from(&mut buffer)?, (5, from));
    check_eq!(other.recv_from(&mut buffer)?, (10, from));
    other.set_nonblocking(true)?;
    check_fails!(other.recv(&mut buffer), EAGAIN);
    Ok(())
}

fn a_long_datagram_is_cut_and_told() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    one.send_to(b"0123456789", to)?;
    one.send_to(b"0123456789", to)?;
    one.send_to(b"next", to)?;
    let mut buffer = [0; 4];
    check_eq!(other.recv(&mut buffer)?, 4);
    check_eq!(nix::sys::socket::recv(other.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?, 10);
    let mut slices = [std::io::IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn>(other.as_raw_fd(), &mut slices, None, MsgFlags::empty())?;
    check_eq!(message.bytes, 4);
    check!(!message.flags.contains(MsgFlags::MSG_TRUNC));
    Ok(())
}

fn an_empty_datagram_is_one() -> Outcome {
    let ((one, from), (other, to)) = (here()?, here()?);
    one.send_to(b"", to)?;
    check_eq!(other.recv_from(&mut [0; 4])?, (0, from));
    Ok(())
}

fn a_connected_socket_takes_from_its_peer_only() -> Outcome {
    let ((one, from), (stranger, _), (other, to)) = (here()?, here()?, here()?);
    other.connect(from)?;
    check_eq!(other.peer_addr()?, from);
    stranger.send_to(b"no", to)?;
    one.send_to(b"yes", to)?;
    let mut buffer = [0; 8];
    check_eq!(other.recv(&mut buffer)?, 3);
    check_eq!(&buffer[..3], b"yes");
    Ok(())
}

fn a_refusal_reaches_a_connected_socket() -> Outcome {
    let ((one, _), (gone, address)) = (here()?, here()?);
    one.connect(address)?;
    drop(gone);
    one.send(b"x")?;
    super::until_events(&one, libc::POLLOUT | libc::POLLERR)?;
    check_fails!(one.recv(&mut [0]), ECONNREFUSED);
    one.send(b"x")?;
    super::until_events(&one, libc::POLLOUT | libc::POLLERR)?;
    check_fails!(one.send(b"x"), ECONNREFUSED);
    one.send(b"x")?;
    super::until_events(&one, libc::POLLOUT | libc::POLLERR)?;
    check_eq!(option_of(&one, libc::SOL_SOCKET, libc::SO_ERROR)?, libc::ECONNREFUSED);
    check_eq!(events(&one)?, flags(libc::POLLOUT));
    Ok(())
}

fn an_unconnected_socket_hears_of_no_refusal() -> Outcome {
    let ((one, _), (gone, address)) = (here()?, here()?);
    drop(gone);
    check_eq!(one.send_to(b"x", address)?, 1);
    check_eq!(one.send_to(b"x", address)?, 1);
    check_eq!(events(&one)?, flags(libc::POLLOUT));
    Ok(())
}

fn the_error_queue_tells_of_a_refusal() -> Outcome {
    let ((one, _), (gone, address)) = (here()?, here()?);
    set_option(&one, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    drop(gone);
    one.send_to(b"lost", address)?;
    super::until_events(&one, libc::POLLOUT | libc::POLLERR)?;
    let mut buffer = [0; 16];
    let mut slices = [std::io::IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!([u8; 128]);
    let message =
        recvmsg::<SockaddrIn>(one.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_ERRQUEUE)?;
    check_eq!(message.bytes, 4);
    check!(message.flags.contains(MsgFlags::MSG_ERRQUEUE));
    check_eq!(message.address.map(|address| address.port()), Some(address.port()));
    let error = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) => {
            Some((error.ee_errno, error.ee_origin, error.ee_type, error.ee_code))
        }
        _ => None,
    });
    check_eq!(error, Some((libc::ECONNREFUSED.unsigned_abs(), 2, 3, 3)));
    check_fails!(nix::sys::socket::recv(one.as_raw_fd(), &mut [0], MsgFlags::MSG_ERRQUEUE), EAGAIN);
    Ok(())
}

fn broadcast_needs_permission() -> Outcome {
    let (one, _) = here()?;
    let to = SockaddrIn::new(127, 255, 255, 255, 9);
    check_fails!(sendto(one.as_raw_fd(), b"x", &to, MsgFlags::empty()), EACCES);
    set_option(&one, libc::SOL_SOCKET, libc::SO_BROADCAST, 1)?;
    check_eq!(sendto(one.as_raw_fd(), b"x", &to, MsgFlags::empty())?, 1);
    Ok(())
}

fn sending_needs_a_destination() -> Outcome {
    let (one, _) = here()?;
    check_fails!(one.send(b"x"), EDESTADDRREQ);
    check_fails!(one.send_to(b"x", "127.0.0.1:0"), EINVAL);
    check_fails!(one.peer_addr(), ENOTCONN);
    check_fails!(one.send_to(b"x", "192.0.2.1:9"), ENETUNREACH);
    let free = UdpSocket::bind("0.0.0.0:0")?;
    check_fails!(free.send_to(b"x", "192.0.2.1:9"), ENETUNREACH);
    Ok(())
}

fn a_datagram_may_be_too_long() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    check_fails!(one.send_to(&[0; 65_508], to), EMSGSIZE);
    check_eq!(one.send_to(&[1; 65_507], to)?, 65_507);
    let mut buffer = vec![0; 70_000];
    check_eq!(other.recv(&mut buffer)?, 65_507);
    Ok(())
}

fn dissolving_gives_the_port_up() -> Outcome {
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::empty(),
        None,
    )?;
    let (_other, to) = here()?;
    nix::sys::socket::connect(socket.as_raw_fd(), &super::at(to.port()))?;
    let name =
        |socket: &std::os::fd::OwnedFd| nix::sys::socket::getsockname::<SockaddrIn>(socket.as_raw_fd());
    check!(name(&socket)?.port() != 0);
    check_eq!(name(&socket)?.ip(), Ipv4Addr::LOCALHOST);
    super::disconnect(&socket)?;
    check_eq!(name(&socket)?.port(), 0);
    check_eq!(name(&socket)?.ip(), Ipv4Addr::UNSPECIFIED);
    Ok(())
}

fn peeking_leaves_a_datagram() -> Outcome {
    let ((one, from), (other, to)) = (here()?, here()?);
    one.send_to(b"twice", to)?;
    let mut buffer = [0; 8];
    check_eq!(other.peek_from(&mut buffer)?, (5, from));
    check_eq!(other.recv_from(&mut buffer)?, (5, from));
    Ok(())
}

/// Receives one message and gives its control messages.
fn with_control(socket: &impl AsFd) -> Outcome<Vec<ControlMessageOwned>> {
    let mut buffer = [0; 64];
    let mut slices = [std::io::IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!([u8; 256]);
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut space), MsgFlags::empty())?;
    Ok(message.cmsgs()?.collect())
}

fn pktinfo_tells_where_a_datagram_went() -> Outcome {
    let other = UdpSocket::bind("0.0.0.0:0")?;
    set_option(&other, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    let (one, _) = here()?;
    one.send_to(b"x", ("127.0.0.7", other.local_addr()?.port()))?;
    let info = with_control(&other)?.into_iter().find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some((info.ipi_ifindex, info.ipi_addr.s_addr.to_ne_bytes()))
        }
        _ => None,
    });
    check_eq!(info, Some((1, [127, 0, 0, 7])));
    Ok(())
}

fn ttl_and_tos_are_told() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    set_option(&other, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
    set_option(&other, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    set_option(&one, libc::IPPROTO_IP, libc::IP_TTL, 33)?;
    set_option(&one, libc::IPPROTO_IP, libc::IP_TOS, 8)?;
    one.send_to(b"x", to)?;
    let messages = with_control(&other)?;
    check!(
        messages.iter().any(|message| matches!(message, ControlMessageOwned::Ipv4Ttl(33))),
        "{messages:?}"
    );
    check!(messages.iter().any(|message| matches!(message, ControlMessageOwned::Ipv4Tos(8))), "{messages:?}");
    Ok(())
}

fn timestamps_are_told() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    set_option(&other, libc::SOL_SOCKET, libc::SO_TIMESTAMP, 1)?;
    one.send_to(b"x", to)?;
    let messages = with_control(&other)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().cast_signed();
    let is_now = |message: &ControlMessageOwned| matches!(message, ControlMessageOwned::ScmTimestamp(time) if (time.tv_sec() - now).abs() < 5);
    check!(messages.iter().any(is_now), "{messages:?}");
    Ok(())
}

fn shutdown_wakes_a_receiver_without_a_peer() -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let other = socket.try_clone()?;
    let waiter = std::thread::spawn(move || other.recv(&mut [0; 4]));
    std::thread::sleep(Duration::from_millis(20));
    check_fails!(nix::sys::socket::shutdown(socket.as_raw_fd(), nix::sys::socket::Shutdown::Both), ENOTCONN);
    let received = waiter.join().map_err(|_| crate::case::Failure::wrong("the receiver died"))?;
    check_eq!(received?, 0);
    Ok(())
}

fn poll_tells_of_datagrams() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    check_eq!(events(&other)?, flags(libc::POLLOUT));
    one.send_to(b"x", to)?;
    super::until_events(&other, libc::POLLIN | libc::POLLOUT)?;
    other.recv(&mut [0])?;
    check_eq!(events(&other)?, flags(libc::POLLOUT));
    Ok(())
}

fn a_full_queue_drops() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    set_option(&other, libc::SOL_SOCKET, libc::SO_RCVBUF, 8192)?;
    for _ in 0..1000 {
        check_eq!(one.send_to(&[0; 1000], to)?, 1000);
    }
    other.set_nonblocking(true)?;
    let mut count = 0;
    while other.recv(&mut [0; 1000]).is_ok() {
        count += 1;
    }
    check!((1..1000).contains(&count), "{count} datagrams");
    Ok(())
}

fn the_more_exact_socket_gets_the_datagram() -> Outcome {
    let socket = |address: SockaddrIn| -> Outcome<UdpSocket> {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Datagram,
            nix::sys::socket::SockFlag::empty(),
            None,
        )?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        nix::sys::socket::bind(socket.as_raw_fd(), &address)?;
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let exact = socket(super::at(0))?;
    let port = exact.local_addr()?.port();
    let any = socket(SockaddrIn::new(0, 0, 0, 0, port))?;
    let (one, from) = here()?;
    one.send_to(b"x", ("127.0.0.1", port))?;
    check_eq!(exact.recv(&mut [0])?, 1);
    check_fails!(any.recv(&mut [0]), EAGAIN);
    one.send_to(b"x", ("127.0.0.2", port))?;
    check_eq!(any.recv(&mut [0])?, 1);
    let connected = socket(super::at(port))?;
    connected.connect(from)?;
    one.send_to(b"x", ("127.0.0.1", port))?;
    check_eq!(connected.recv(&mut [0])?, 1);
    check_fails!(exact.recv(&mut [0]), EAGAIN);
    Ok(())
}

fn recvmmsg_and_sendmmsg_take_several() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    one.connect(to)?;
    let mut parts = [*b"a1", *b"b2", *b"c3"];
    let mut vectors: Vec<libc::iovec> =
        parts.iter_mut().map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: 2 }).collect();
    // SAFETY: all zeros are valid headers.
    let mut headers: [libc::mmsghdr; 3] = unsafe { std::mem::zeroed() };
    for (header, vector) in headers.iter_mut().zip(&mut vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the headers and what they point to are live locals.
    let sent = unsafe { libc::sendmmsg(one.as_raw_fd(), headers.as_mut_ptr(), 3, 0) };
    check_eq!(sent, 3);
    check!(headers.iter().all(|header| header.msg_len == 2));
    parts_cleared(&mut vectors);
    // By number: the C libraries differ in the type of the flags.
    let arguments =
        [other.as_raw_fd() as usize, headers.as_mut_ptr() as usize, 3, libc::MSG_WAITFORONE as usize, 0];
    // SAFETY: as above.
    let received = unsafe { crate::raw::syscall(libc::SYS_recvmmsg, arguments) }?;
    check_eq!(received, 3);
    check_eq!(parts, [*b"a1", *b"b2", *b"c3"]);
    Ok(())
}

fn parts_cleared(vectors: &mut [libc::iovec]) {
    for vector in vectors {
        // SAFETY: each vector points to two live bytes.
        unsafe { vector.iov_base.cast::<u8>().write_bytes(0, 2) };
    }
}

fn ioctl_tells_the_next_length() -> Outcome {
    let ((one, _), (other, to)) = (here()?, here()?);
    one.send_to(b"12345", to)?;
    one.send_to(b"1", to)?;
    let mut count: libc::c_int = 0;
    // SAFETY: the count is a live local.
    unsafe { libc::ioctl(other.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    check_eq!(count, 5);
    Ok(())
}

fn a_group_on_the_loopback_link() -> Outcome {
    let other = UdpSocket::bind("0.0.0.0:0")?;
    other.set_read_timeout(Some(Duration::from_secs(2)))?;
    let group = Ipv4Addr::new(239, 1, 2, 3);
    other.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    check_fails!(other.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST), EADDRINUSE);
    check_fails!(other.join_multicast_v4(&Ipv4Addr::LOCALHOST, &Ipv4Addr::LOCALHOST), EINVAL);
    let (one, from) = here()?;
    let address = libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) };
    // SAFETY: the kernel only reads the address.
    let result = unsafe {
        libc::setsockopt(
            one.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            (&raw const address).cast(),
            4,
        )
    };
    check_eq!(result, 0);
    one.send_to(b"all", (group, other.local_addr()?.port()))?;
    check_eq!(other.recv_from(&mut [0; 8])?, (3, from));
    other.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
    check_fails!(other.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST), EADDRNOTAVAIL);
    Ok(())
}
