//! Sockets of AF_INET, most of them over the loopback link: ip(7), tcp(7), udp(7).

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, socket};

use crate::case::{Case, Outcome};

mod close;
mod connect;
mod edge;
mod link;
mod option;
mod port;
mod raw;
mod stream;
mod udp;

pub const CASES: &[&[Case]] = &[
    stream::CASES,
    connect::CASES,
    close::CASES,
    edge::CASES,
    port::CASES,
    option::CASES,
    raw::CASES,
    udp::CASES,
    link::CASES,
];

/// Both ends of a connection over the loopback link: who connected, who accepted.
fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

/// A TCP socket that is neither bound nor connected.
fn stream_socket(flags: SockFlag) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Inet, SockType::Stream, flags, None)
}

/// What poll(2) tells without being asked for less. nix does not know POLLRDHUP.
fn events(socket: &impl AsFd) -> Outcome<PollFlags> {
    let all = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP;
    let mut item = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events: all, revents: 0 };
    // SAFETY: the item is a live local.
    let result = unsafe { libc::poll(&raw mut item, 1, 0) };
    nix::errno::Errno::result(result)?;
    Ok(flags(item.revents))
}

/// The flags by name, as poll(2) has them.
fn flags(bits: libc::c_short) -> PollFlags {
    PollFlags::from_bits_retain(bits)
}

/// Waits until poll(2) tells `wanted`: a reset takes a moment on Linux.
fn until_events(socket: &impl AsFd, wanted: libc::c_short) -> Outcome {
    let mut last = PollFlags::empty();
    let result = crate::child::until("the events", || {
        last = events(socket)?;
        Ok(last == flags(wanted))
    });
    result
        .map_err(|_| crate::case::Failure::wrong(format!("the events are {last:?}, not {:?}", flags(wanted))))
}

/// An integer option.
fn option_of(socket: &impl AsFd, level: i32, name: i32) -> std::io::Result<i32> {
    let mut value: i32 = 0;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: both point to live locals, and the length is the value's.
    let result = unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len)
    };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(value) }
}

/// Sets an integer option.
fn set_option(socket: &impl AsFd, level: i32, name: i32, value: i32) -> std::io::Result<()> {
    let len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is a live local of that length.
    let result =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// The address to bind to or to connect to.
fn at(port: u16) -> SockaddrIn {
    SockaddrIn::new(127, 0, 0, 1, port)
}

/// A port on which nobody listens.
fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    match listener.local_addr()? {
        SocketAddr::V4(address) => Ok(address.port()),
        SocketAddr::V6(_) => Ok(0),
    }
}

/// accept(2) without an address.
fn accept_raw(listener: &impl AsFd) -> nix::Result<OwnedFd> {
    let fd = nix::sys::socket::accept(listener.as_fd().as_raw_fd())?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects a socket to AF_UNSPEC, which dissolves what it has.
fn disconnect(socket: &impl AsFd) -> std::io::Result<()> {
    let address = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address is a live local of that length.
    let result = unsafe { libc::connect(socket.as_fd().as_raw_fd(), &raw const address, len) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
