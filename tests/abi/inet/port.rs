//! Who may have a port: bind(2), SO_REUSEADDR, SO_REUSEPORT, and ports after a connection.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, getsockname, listen, socket,
};

use super::{at, set_option};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("inet":
    a_port_has_one_owner,
    a_wildcard_and_an_address_conflict,
    addresses_have_ports_of_their_own,
    tcp_and_udp_have_ports_of_their_own,
    reuseaddr_shares_among_those_who_do_not_listen,
    reuseport_shares_among_listeners,
    a_port_waits_after_a_connection,
    a_port_waits_only_at_the_end_that_closed_first,
    accepted_connections_hold_the_port,
    binding_twice_fails,
    low_ports_need_a_capability,
    a_connection_has_a_unique_pair_of_addresses,
    udp_reuseaddr_shares,
    ephemeral_ports_differ,
);

fn bound(port: u16, options: &[i32]) -> Outcome<OwnedFd> {
    bound_to(SockType::Stream, &at(port), options)
}

fn bound_to(kind: SockType, address: &SockaddrIn, options: &[i32]) -> Outcome<OwnedFd> {
    let socket = socket(AddressFamily::Inet, kind, SockFlag::empty(), None)?;
    for option in options {
        set_option(&socket, libc::SOL_SOCKET, *option, 1)?;
    }
    bind(socket.as_raw_fd(), address)?;
    Ok(socket)
}

fn try_bind(kind: SockType, address: &SockaddrIn, options: &[i32]) -> Outcome<nix::Result<OwnedFd>> {
    let socket = socket(AddressFamily::Inet, kind, SockFlag::empty(), None)?;
    for option in options {
        set_option(&socket, libc::SOL_SOCKET, *option, 1)?;
    }
    Ok(bind(socket.as_raw_fd(), address).map(|()| socket))
}

fn port_of(socket: &OwnedFd) -> nix::Result<u16> {
    Ok(getsockname::<SockaddrIn>(socket.as_raw_fd())?.port())
}

fn a_port_has_one_owner() -> Outcome {
    let first = bound(0, &[])?;
    let port = port_of(&first)?;
    check_fails!(try_bind(SockType::Stream, &at(port), &[])?, EADDRINUSE);
    check_fails!(try_bind(SockType::Stream, &at(port), &[libc::SO_REUSEADDR])?, EADDRINUSE);
    drop(first);
    check!(try_bind(SockType::Stream, &at(port), &[])?.is_ok());
    Ok(())
}

fn a_wildcard_and_an_address_conflict() -> Outcome {
    let first = bound(0, &[])?;
    let any = SockaddrIn::new(0, 0, 0, 0, port_of(&first)?);
    check_fails!(try_bind(SockType::Stream, &any, &[])?, EADDRINUSE);
    Ok(())
}

fn addresses_have_ports_of_their_own() -> Outcome {
    let first = bound(0, &[])?;
    let other = SockaddrIn::new(127, 0, 0, 2, port_of(&first)?);
    check!(try_bind(SockType::Stream, &other, &[])?.is_ok());
    Ok(())
}

fn tcp_and_udp_have_ports_of_their_own() -> Outcome {
    let first = bound(0, &[])?;
    check!(try_bind(SockType::Datagram, &at(port_of(&first)?), &[])?.is_ok());
    Ok(())
}

fn reuseaddr_shares_among_those_who_do_not_listen() -> Outcome {
    let first = bound(0, &[libc::SO_REUSEADDR])?;
    let port = port_of(&first)?;
    let second = bound(port, &[libc::SO_REUSEADDR])?;
    listen(&first, Backlog::new(1)?)?;
    check_fails!(listen(&second, Backlog::new(1)?), EADDRINUSE);
    check_fails!(try_bind(SockType::Stream, &at(port), &[libc::SO_REUSEADDR])?, EADDRINUSE);
    drop(first);
    listen(&second, Backlog::new(1)?)?;
    Ok(())
}

fn reuseport_shares_among_listeners() -> Outcome {
    let first = bound(0, &[libc::SO_REUSEPORT])?;
    let port = port_of(&first)?;
    let second = bound(port, &[libc::SO_REUSEPORT])?;
    check_fails!(try_bind(SockType::Stream, &at(port), &[])?, EADDRINUSE);
    let (first, second) = (TcpListener::from(first), TcpListener::from(second));
    for listener in [&first, &second] {
        listen(listener, Backlog::new(64)?)?;
        listener.set_nonblocking(true)?;
    }
    let clients: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port))).collect::<Result<_, _>>()?;
    let count = |listener: &TcpListener| {
        let mut accepted = Vec::new();
        while let Ok((connection, _)) = listener.accept() {
            accepted.push(connection);
        }
        accepted
    };
    let (of_first, of_second) = (count(&first), count(&second));
    check_eq!(of_first.len() + of_second.len(), clients.len());
    check!(!of_first.is_empty() && !of_second.is_empty(), "{} and {}", of_first.len(), of_second.len());
    Ok(())
}

fn a_port_waits_after_a_connection() -> Outcome {
    let listener = bound(0, &[])?;
    let port = port_of(&listener)?;
    listen(&listener, Backlog::new(1)?)?;
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let server = super::accept_raw(&listener)?;
    drop(server);
    super::until_events(&client, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP)?;
    drop(client);
    drop(listener);
    check_fails!(try_bind(SockType::Stream, &at(port), &[])?, EADDRINUSE);
    // Both the connection and who comes after it must have the option: the connection had not.
    check_fails!(try_bind(SockType::Stream, &at(port), &[libc::SO_REUSEADDR])?, EADDRINUSE);
    Ok(())
}

fn a_port_waits_only_at_the_end_that_closed_first() -> Outcome {
    let listener = bound(0, &[libc::SO_REUSEADDR])?;
    let port = port_of(&listener)?;
    listen(&listener, Backlog::new(1)?)?;
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let server = super::accept_raw(&listener)?;
    drop(client);
    super::until_events(&server, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP)?;
    drop(server);
    drop(listener);
    child::until("the port is free", || Ok(try_bind(SockType::Stream, &at(port), &[])?.is_ok()))?;
    Ok(())
}

fn accepted_connections_hold_the_port() -> Outcome {
    let listener = bound(0, &[libc::SO_REUSEADDR])?;
    let port = port_of(&listener)?;
    listen(&listener, Backlog::new(1)?)?;
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let _server = super::accept_raw(&listener)?;
    drop(listener);
    check_fails!(try_bind(SockType::Stream, &at(port), &[])?, EADDRINUSE);
    let next = bound(port, &[libc::SO_REUSEADDR])?;
    listen(&next, Backlog::new(1)?)?;
    Ok(())
}

fn binding_twice_fails() -> Outcome {
    let socket = bound(0, &[])?;
    check_fails!(bind(socket.as_raw_fd(), &at(0)), EINVAL);
    Ok(())
}

fn low_ports_need_a_capability() -> Outcome {
    check!(try_bind(SockType::Stream, &at(1023), &[])?.is_ok());
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(try_bind(SockType::Stream, &at(1023), &[])?, EACCES);
        check_fails!(try_bind(SockType::Datagram, &at(1023), &[])?, EACCES);
        check!(try_bind(SockType::Stream, &at(1024), &[])?.is_ok());
        Ok(())
    })
}

fn a_connection_has_a_unique_pair_of_addresses() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = at(listener.local_addr()?.port());
    let first = bound(0, &[libc::SO_REUSEADDR])?;
    let second = bound(port_of(&first)?, &[libc::SO_REUSEADDR])?;
    connect(first.as_raw_fd(), &to)?;
    check_fails!(connect(second.as_raw_fd(), &to), EADDRNOTAVAIL);
    Ok(())
}

fn udp_reuseaddr_shares() -> Outcome {
    let first = bound_to(SockType::Datagram, &at(0), &[libc::SO_REUSEADDR])?;
    let port = port_of(&first)?;
    check_fails!(try_bind(SockType::Datagram, &at(port), &[])?, EADDRINUSE);
    check!(try_bind(SockType::Datagram, &at(port), &[libc::SO_REUSEADDR])?.is_ok());
    Ok(())
}

fn ephemeral_ports_differ() -> Outcome {
    let sockets: Vec<OwnedFd> = (0..100).map(|_| bound(0, &[libc::SO_REUSEADDR])).collect::<Outcome<_>>()?;
    let mut ports: Vec<u16> = sockets.iter().map(port_of).collect::<Result<_, _>>()?;
    ports.sort_unstable();
    ports.dedup();
    check_eq!(ports.len(), 100);
    Ok(())
}
