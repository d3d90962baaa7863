//! listen(2), connect(2), accept(2).

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{
    Backlog, MsgFlags, SockFlag, bind, connect, getpeername, getsockname, listen, send, shutdown,
};
use nix::sys::socket::{Shutdown, SockaddrIn};

use super::{accept_raw, at, disconnect, events, flags, free_port, option_of, stream_socket, until_events};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("inet":
    connecting_to_nobody_is_refused,
    a_nonblocking_connect_is_in_progress_first,
    a_nonblocking_connect_tells_of_a_refusal_once,
    connecting_twice_fails,
    a_listener_does_not_connect,
    a_connection_is_there_before_accept,
    listening_binds_a_port,
    listening_twice_changes_the_backlog,
    a_full_backlog_makes_clients_wait,
    accept_flags_are_checked,
    accept_without_a_listener_fails,
    a_blocked_accept_ends_with_shutdown,
    a_nonblocking_accept_fails_with_eagain,
    a_receive_timeout_ends_accept,
    connecting_to_af_unspec_dissolves,
    connecting_to_the_unspecified_address_means_this_machine,
    all_of_127_is_this_machine,
    addresses_are_checked,
    unreachable_networks_are_told,
    an_accepted_socket_inherits_options,
    many_connections_at_once,
);

fn listener() -> Outcome<(TcpListener, u16)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn connecting_to_nobody_is_refused() -> Outcome {
    let port = free_port()?;
    check_fails!(TcpStream::connect(("127.0.0.1", port)), ECONNREFUSED);
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(connect(socket.as_raw_fd(), &at(port)), ECONNREFUSED);
    // It may be tried again.
    check_fails!(connect(socket.as_raw_fd(), &at(port)), ECONNREFUSED);
    let (_listener, port) = listener()?;
    connect(socket.as_raw_fd(), &at(port))?;
    Ok(())
}

fn a_nonblocking_connect_is_in_progress_first() -> Outcome {
    let (listener, port) = listener()?;
    let socket = stream_socket(SockFlag::SOCK_NONBLOCK)?;
    check_eq!(events(&socket)?, flags(libc::POLLOUT | libc::POLLHUP));
    check_fails!(connect(socket.as_raw_fd(), &at(port)), EINPROGRESS);
    until_events(&socket, libc::POLLOUT)?;
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
    connect(socket.as_raw_fd(), &at(port))?;
    check_fails!(connect(socket.as_raw_fd(), &at(port)), EISCONN);
    listener.accept()?;
    Ok(())
}

fn a_nonblocking_connect_tells_of_a_refusal_once() -> Outcome {
    let port = free_port()?;
    let socket = stream_socket(SockFlag::SOCK_NONBLOCK)?;
    check_fails!(connect(socket.as_raw_fd(), &at(port)), EINPROGRESS);
    until_events(&socket, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP | libc::POLLERR | libc::POLLHUP)?;
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_ERROR)?, libc::ECONNREFUSED);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
    check_fails!(getpeername::<SockaddrIn>(socket.as_raw_fd()), ENOTCONN);
    check_fails!(connect(socket.as_raw_fd(), &at(port)), ECONNABORTED);
    check_fails!(connect(socket.as_raw_fd(), &at(port)), EINPROGRESS);
    until_events(&socket, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP | libc::POLLERR | libc::POLLHUP)?;
    check_fails!(connect(socket.as_raw_fd(), &at(port)), ECONNREFUSED);
    Ok(())
}

fn connecting_twice_fails() -> Outcome {
    let (_listener, port) = listener()?;
    let socket = stream_socket(SockFlag::empty())?;
    connect(socket.as_raw_fd(), &at(port))?;
    check_fails!(connect(socket.as_raw_fd(), &at(port)), EISCONN);
    check_fails!(listen(&socket, Backlog::new(1)?), EINVAL);
    check_fails!(bind(socket.as_raw_fd(), &at(0)), EINVAL);
    Ok(())
}

fn a_listener_does_not_connect() -> Outcome {
    let (listener, port) = listener()?;
    check_fails!(connect(listener.as_raw_fd(), &at(port)), EISCONN);
    check_fails!(send(listener.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    check_fails!(getpeername::<SockaddrIn>(listener.as_raw_fd()), ENOTCONN);
    Ok(())
}

fn a_connection_is_there_before_accept() -> Outcome {
    use std::io::{Read, Write};
    let (listener, port) = listener()?;
    check_eq!(events(&listener)?, flags(0));
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    until_events(&listener, libc::POLLIN)?;
    client.write_all(b"early")?;
    let (mut server, _) = listener.accept()?;
    check_eq!(events(&listener)?, flags(0));
    let mut buffer = [0; 8];
    check_eq!(server.read(&mut buffer)?, 5);
    Ok(())
}

fn listening_binds_a_port() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    listen(&socket, Backlog::new(1)?)?;
    let address: SockaddrIn = getsockname(socket.as_raw_fd())?;
    check!(address.port() != 0);
    check_eq!(option_of(&socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)?, 1);
    TcpStream::connect(("127.0.0.1", address.port()))?;
    Ok(())
}

fn listening_twice_changes_the_backlog() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    listen(&socket, Backlog::new(0)?)?;
    listen(&socket, Backlog::new(8)?)?;
    let address: SockaddrIn = getsockname(socket.as_raw_fd())?;
    let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(("127.0.0.1", address.port()))).collect();
    check!(clients.iter().all(Result::is_ok));
    Ok(())
}

fn a_full_backlog_makes_clients_wait() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    listen(&socket, Backlog::new(1)?)?;
    let port = getsockname::<SockaddrIn>(socket.as_raw_fd())?.port();
    let _first = TcpStream::connect(("127.0.0.1", port))?;
    let _second = TcpStream::connect(("127.0.0.1", port))?;
    let third = stream_socket(SockFlag::SOCK_NONBLOCK)?;
    check_fails!(connect(third.as_raw_fd(), &at(port)), EINPROGRESS);
    thread::sleep(Duration::from_millis(20));
    check_eq!(events(&third)?, flags(0));
    check_fails!(connect(third.as_raw_fd(), &at(port)), EALREADY);
    check_fails!(send(third.as_raw_fd(), b"x", MsgFlags::empty()), EAGAIN);
    accept_raw(&socket)?;
    // Linux sends the SYN again after a second.
    until_events(&third, libc::POLLOUT)?;
    Ok(())
}

fn accept_flags_are_checked() -> Outcome {
    let (listener, port) = listener()?;
    let _client = TcpStream::connect(("127.0.0.1", port))?;
    let arguments = [listener.as_raw_fd() as usize, 0, 0, 0x10];
    check_fails!(crate::raw::harmless(libc::SYS_accept4, arguments), EINVAL);
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = nix::sys::socket::accept4(listener.as_raw_fd(), flags)?;
    // SAFETY: the descriptor is new and nobody else's.
    let server = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    let status = nix::fcntl::fcntl(&server, nix::fcntl::FcntlArg::F_GETFL)?;
    check!(status & libc::O_NONBLOCK != 0);
    Ok(())
}

fn accept_without_a_listener_fails() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(accept_raw(&socket), EINVAL);
    Ok(())
}

fn a_blocked_accept_ends_with_shutdown() -> Outcome {
    let (listener, port) = listener()?;
    let fd = listener.as_raw_fd();
    let waiter = thread::spawn(move || nix::sys::socket::accept(fd));
    thread::sleep(Duration::from_millis(30));
    shutdown(fd, Shutdown::Both)?;
    let result = waiter.join().map_err(|_| crate::case::Failure::wrong("the waiter died"))?;
    check_fails!(result, EINVAL);
    check_fails!(TcpStream::connect(("127.0.0.1", port)), ECONNREFUSED);
    check_eq!(events(&listener)?, flags(libc::POLLOUT | libc::POLLHUP));
    // It may listen again, at another port of the kernel's choice.
    listen(&listener, Backlog::new(1)?)?;
    TcpStream::connect(listener.local_addr()?)?;
    Ok(())
}

fn a_nonblocking_accept_fails_with_eagain() -> Outcome {
    let (listener, _) = listener()?;
    listener.set_nonblocking(true)?;
    check_fails!(listener.accept(), EAGAIN);
    Ok(())
}

fn a_receive_timeout_ends_accept() -> Outcome {
    let (listener, _) = listener()?;
    let time = nix::sys::time::TimeVal::new(0, 20_000);
    nix::sys::socket::setsockopt(&listener, nix::sys::socket::sockopt::ReceiveTimeout, &time)?;
    check_fails!(listener.accept(), EAGAIN);
    Ok(())
}

fn connecting_to_af_unspec_dissolves() -> Outcome {
    let (listener, port) = listener()?;
    let socket = stream_socket(SockFlag::empty())?;
    connect(socket.as_raw_fd(), &at(port))?;
    let (server, _) = listener.accept()?;
    disconnect(&socket)?;
    check_fails!(getpeername::<SockaddrIn>(socket.as_raw_fd()), ENOTCONN);
    check_fails!(nix::unistd::read(&server, &mut [0]), ECONNRESET);
    connect(socket.as_raw_fd(), &at(port))?;
    listener.accept()?;
    Ok(())
}

fn connecting_to_the_unspecified_address_means_this_machine() -> Outcome {
    let (_listener, port) = listener()?;
    let client = TcpStream::connect(("0.0.0.0", port))?;
    check_eq!(client.peer_addr()?.ip().to_string(), "127.0.0.1");
    Ok(())
}

fn all_of_127_is_this_machine() -> Outcome {
    let listener = TcpListener::bind("127.1.2.3:0")?;
    let port = listener.local_addr()?.port();
    check_fails!(TcpStream::connect(("127.0.0.1", port)), ECONNREFUSED);
    let client = TcpStream::connect(("127.1.2.3", port))?;
    check_eq!(client.local_addr()?.ip().to_string(), "127.0.0.1");
    Ok(())
}

fn addresses_are_checked() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    let fd = socket.as_raw_fd() as usize;
    let address = [2_u8, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let of_family = |family: u8| {
        let mut address = address;
        address[0] = family;
        address
    };
    let call = |number, address: &[u8; 16], len: usize| {
        // SAFETY: the kernel only reads the address.
        unsafe { crate::raw::syscall(number, [fd, address.as_ptr() as usize, len]) }
    };
    check_fails!(call(libc::SYS_connect, &address, 8), EINVAL);
    check_fails!(call(libc::SYS_bind, &address, 8), EINVAL);
    check_fails!(call(libc::SYS_connect, &of_family(99), 16), EAFNOSUPPORT);
    check_fails!(call(libc::SYS_bind, &of_family(99), 16), EAFNOSUPPORT);
    check_fails!(call(libc::SYS_connect, &address, 1000), EINVAL);
    check_fails!(bind(socket.as_raw_fd(), &SockaddrIn::new(192, 0, 2, 1, 0)), EADDRNOTAVAIL);
    Ok(())
}

fn unreachable_networks_are_told() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(connect(socket.as_raw_fd(), &SockaddrIn::new(192, 0, 2, 1, 80)), ENETUNREACH);
    check_fails!(connect(socket.as_raw_fd(), &SockaddrIn::new(255, 255, 255, 255, 80)), ENETUNREACH);
    check_eq!(events(&socket)?, flags(libc::POLLOUT | libc::POLLHUP));
    Ok(())
}

fn an_accepted_socket_inherits_options() -> Outcome {
    let (listener, port) = listener()?;
    super::set_option(&listener, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    super::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    super::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 77)?;
    super::set_option(&listener, libc::IPPROTO_IP, libc::IP_TOS, 16)?;
    let _client = TcpStream::connect(("127.0.0.1", port))?;
    let (server, _) = listener.accept()?;
    check_eq!(option_of(&server, libc::SOL_SOCKET, libc::SO_KEEPALIVE)?, 1);
    check_eq!(option_of(&server, libc::IPPROTO_TCP, libc::TCP_NODELAY)?, 1);
    check_eq!(option_of(&server, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)?, 77);
    check_eq!(option_of(&server, libc::IPPROTO_IP, libc::IP_TOS)?, 16);
    check_eq!(option_of(&server, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)?, 0);
    Ok(())
}

fn many_connections_at_once() -> Outcome {
    use std::io::{Read, Write};
    let (listener, port) = listener()?;
    let server = thread::spawn(move || {
        for _ in 0..200 {
            let (mut connection, _) = listener.accept()?;
            let mut byte = [0];
            connection.read_exact(&mut byte)?;
            connection.write_all(&byte)?;
        }
        Ok::<_, std::io::Error>(())
    });
    let clients: Vec<_> = (0..4_u8)
        .map(|of| {
            thread::spawn(move || {
                for at in 0..50_u8 {
                    let mut client = TcpStream::connect(("127.0.0.1", port))?;
                    client.write_all(&[of ^ at])?;
                    let mut byte = [0];
                    client.read_exact(&mut byte)?;
                    if byte[0] != of ^ at {
                        return Err(std::io::Error::other("another byte came back"));
                    }
                }
                Ok::<_, std::io::Error>(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| crate::case::Failure::wrong("a client died"))??;
    }
    server.join().map_err(|_| crate::case::Failure::wrong("the server died"))??;
    Ok(())
}
