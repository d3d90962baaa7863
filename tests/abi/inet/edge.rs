//! epoll(7) with EPOLLET, as event loops use it: an edge for each arrival, and one when there is room again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{SockFlag, connect};

use super::{at, pair, stream_socket};
use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("inet":
    an_edge_for_each_arrival,
    an_edge_when_there_is_room_again,
    no_edge_for_reading,
    an_edge_for_the_end_and_one_for_the_hangup,
    an_edge_when_a_connection_is_made,
    an_edge_for_each_connection_to_accept,
);

fn watch(socket: &impl std::os::fd::AsFd, wanted: EpollFlags) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(socket, EpollEvent::new(wanted | EpollFlags::EPOLLET, 1))?;
    Ok(epoll)
}

/// What is told within two seconds.
fn next(epoll: &Epoll) -> nix::Result<EpollFlags> {
    let mut events = [EpollEvent::empty(); 4];
    let count = epoll.wait(&mut events, EpollTimeout::from(2000_u16))?;
    Ok(if count == 0 { EpollFlags::empty() } else { events[0].events() })
}

/// What is told at once.
fn now(epoll: &Epoll) -> nix::Result<EpollFlags> {
    let mut events = [EpollEvent::empty(); 4];
    let count = epoll.wait(&mut events, EpollTimeout::from(20_u16))?;
    Ok(if count == 0 { EpollFlags::empty() } else { events[0].events() })
}

fn an_edge_for_each_arrival() -> Outcome {
    let (mut left, mut right) = pair()?;
    let epoll = watch(&right, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT);
    check_eq!(now(&epoll)?, EpollFlags::empty());
    left.write_all(b"one")?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT);
    check_eq!(now(&epoll)?, EpollFlags::empty());
    left.write_all(b"two")?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT);
    let mut buffer = [0; 16];
    check_eq!(right.read(&mut buffer)?, 6);
    check_eq!(now(&epoll)?, EpollFlags::empty());
    Ok(())
}

fn an_edge_when_there_is_room_again() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.set_nonblocking(true)?;
    right.set_nonblocking(true)?;
    let epoll = watch(&left, EpollFlags::EPOLLOUT)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT);
    let block = vec![0; 100_000];
    while left.write(&block).is_ok() {}
    // Linux tells of what was acknowledged meanwhile.
    while now(&epoll)? == EpollFlags::EPOLLOUT {
        while left.write(&block).is_ok() {}
    }
    let mut buffer = vec![0; 1 << 20];
    loop {
        match right.read(&mut buffer) {
            Ok(_) => {}
            Err(_) if now(&epoll)? == EpollFlags::EPOLLOUT => break,
            Err(_) => {}
        }
    }
    check!(left.write(&block)? > 0);
    Ok(())
}

fn no_edge_for_reading() -> Outcome {
    let (mut left, mut right) = pair()?;
    let epoll = watch(&left, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT);
    left.write_all(b"read at the other end")?;
    let mut buffer = [0; 64];
    check_eq!(right.read(&mut buffer)?, 21);
    check_eq!(now(&epoll)?, EpollFlags::empty());
    Ok(())
}

fn an_edge_for_the_end_and_one_for_the_hangup() -> Outcome {
    let (left, right) = pair()?;
    let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
    let epoll = watch(&right, wanted)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT);
    left.shutdown(std::net::Shutdown::Write)?;
    check_eq!(next(&epoll)?, wanted);
    right.shutdown(std::net::Shutdown::Write)?;
    let mut last = next(&epoll)?;
    // Linux tells of the direction and of the end apart.
    while last == wanted {
        last = next(&epoll)?;
    }
    check_eq!(last, wanted | EpollFlags::EPOLLHUP);
    Ok(())
}

fn an_edge_when_a_connection_is_made() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let socket = stream_socket(SockFlag::SOCK_NONBLOCK)?;
    let epoll = watch(&socket, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT | EpollFlags::EPOLLHUP);
    check_fails!(connect(socket.as_raw_fd(), &at(listener.local_addr()?.port())), EINPROGRESS);
    check_eq!(next(&epoll)?, EpollFlags::EPOLLOUT);
    Ok(())
}

fn an_edge_for_each_connection_to_accept() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let epoll = watch(&listener, EpollFlags::EPOLLIN)?;
    check_eq!(now(&epoll)?, EpollFlags::empty());
    let address = listener.local_addr()?;
    let _first = std::net::TcpStream::connect(address)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLIN);
    let _second = std::net::TcpStream::connect(address)?;
    check_eq!(next(&epoll)?, EpollFlags::EPOLLIN);
    check!(listener.accept().is_ok() && listener.accept().is_ok());
    check_fails!(listener.accept(), EAGAIN);
    check_eq!(now(&epoll)?, EpollFlags::empty());
    Ok(())
}
