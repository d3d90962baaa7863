//! How connections end: half-closing, closing, resets, SO_LINGER, and what poll(2) tells of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{MsgFlags, SockFlag, SockaddrIn, getpeername, send, shutdown, sockopt};

use super::{events, flags, option_of, pair, stream_socket, until_events};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("inet":
    the_end_comes_after_the_bytes,
    half_closing_leaves_the_other_half,
    both_halves_closed_is_the_end,
    closing_with_unread_bytes_resets,
    linger_of_zero_resets,
    an_error_comes_after_the_bytes,
    writing_to_a_closed_peer_works_once,
    writing_after_shutdown_is_a_broken_pipe,
    a_reset_is_told_once_then_the_pipe_is_broken,
    shutdown_for_reading_still_takes_what_comes,
    shutdown_without_a_connection_fails,
    shutdown_wakes_a_reader,
    closing_an_unaccepted_connection_resets,
    an_unread_error_is_in_poll,
    a_closed_listener_refuses,
);

const ALL: libc::c_short = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;

fn linger(stream: &TcpStream) -> nix::Result<()> {
    nix::sys::socket::setsockopt(stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
}

fn the_end_comes_after_the_bytes() -> Outcome {
    let (mut left, mut right) = pair()?;
    check_eq!(events(&right)?, flags(libc::POLLOUT));
    left.write_all(b"last words")?;
    until_events(&right, libc::POLLIN | libc::POLLOUT)?;
    drop(left);
    until_events(&right, ALL)?;
    let mut text = String::new();
    right.read_to_string(&mut text)?;
    check_eq!(text, "last words");
    check_eq!(right.read(&mut [0])?, 0);
    check_eq!(events(&right)?, flags(ALL));
    Ok(())
}

fn half_closing_leaves_the_other_half() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.shutdown(Shutdown::Write)?;
    check_eq!(events(&left)?, flags(libc::POLLOUT));
    check_eq!(right.read(&mut [0])?, 0);
    right.write_all(b"still here")?;
    let mut buffer = [0; 16];
    check_eq!(left.read(&mut buffer)?, 10);
    drop(right);
    check_eq!(left.read(&mut buffer)?, 0);
    Ok(())
}

fn both_halves_closed_is_the_end() -> Outcome {
    let (left, right) = pair()?;
    left.shutdown(Shutdown::Write)?;
    until_events(&right, ALL)?;
    right.shutdown(Shutdown::Write)?;
    until_events(&left, ALL | libc::POLLHUP)?;
    until_events(&right, ALL | libc::POLLHUP)?;
    check_fails!(getpeername::<SockaddrIn>(left.as_raw_fd()), ENOTCONN);
    check_fails!(shutdown(left.as_raw_fd(), nix::sys::socket::Shutdown::Both), ENOTCONN);
    check_eq!((&left).read(&mut [0])?, 0);
    Ok(())
}

fn closing_with_unread_bytes_resets() -> Outcome {
    let (mut left, right) = pair()?;
    left.write_all(b"unread")?;
    child::until("the bytes are there", || Ok(right.peek(&mut [0; 8])? == 6))?;
    drop(right);
    until_events(&left, ALL | libc::POLLERR | libc::POLLHUP)?;
    check_fails!(nix::unistd::read(&left, &mut [0]), ECONNRESET);
    check_eq!(left.read(&mut [0])?, 0);
    check_eq!(events(&left)?, flags(ALL | libc::POLLHUP));
    Ok(())
}

fn linger_of_zero_resets() -> Outcome {
    let (left, mut right) = pair()?;
    linger(&left)?;
    drop(left);
    until_events(&right, ALL | libc::POLLERR | libc::POLLHUP)?;
    check_eq!(option_of(&right, libc::SOL_SOCKET, libc::SO_ERROR)?, libc::ECONNRESET);
    check_eq!(right.read(&mut [0])?, 0);
    check_fails!(getpeername::<SockaddrIn>(right.as_raw_fd()), ENOTCONN);
    Ok(())
}

fn an_error_comes_after_the_bytes() -> Outcome {
    let (mut left, mut right) = pair()?;
    linger(&left)?;
    left.write_all(b"before")?;
    child::until("the bytes are there", || Ok(right.peek(&mut [0; 8])? == 6))?;
    drop(left);
    until_events(&right, ALL | libc::POLLERR | libc::POLLHUP)?;
    let mut buffer = [0; 16];
    check_eq!(right.read(&mut buffer)?, 6);
    check_fails!(nix::unistd::read(&right, &mut buffer), ECONNRESET);
    Ok(())
}

fn writing_to_a_closed_peer_works_once() -> Outcome {
    let (left, mut right) = pair()?;
    drop(left);
    until_events(&right, ALL)?;
    right.write_all(b"into the void")?;
    until_events(&right, ALL | libc::POLLERR | libc::POLLHUP)?;
    // The end was read before the reset: it stays the end.
    check_eq!(right.read(&mut [0])?, 0);
    check_fails!(send(right.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    check_eq!(events(&right)?, flags(ALL | libc::POLLHUP));
    check_fails!(send(right.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    Ok(())
}

fn writing_after_shutdown_is_a_broken_pipe() -> Outcome {
    let (left, _right) = pair()?;
    left.shutdown(Shutdown::Write)?;
    check_fails!(send(left.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    let child = child::fork(|| {
        // SAFETY: the default action, which ends the child.
        let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        let _ = send(left.as_raw_fd(), b"x", MsgFlags::empty());
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGPIPE);
    Ok(())
}

fn a_reset_is_told_once_then_the_pipe_is_broken() -> Outcome {
    let (left, right) = pair()?;
    linger(&left)?;
    drop(left);
    until_events(&right, ALL | libc::POLLERR | libc::POLLHUP)?;
    check_fails!(send(right.as_raw_fd(), b"x", MsgFlags::empty()), ECONNRESET);
    check_fails!(send(right.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    Ok(())
}

fn shutdown_for_reading_still_takes_what_comes() -> Outcome {
    let (mut left, mut right) = pair()?;
    right.shutdown(Shutdown::Read)?;
    check_eq!(events(&right)?, flags(ALL));
    check_eq!(right.read(&mut [0])?, 0);
    left.write_all(b"late")?;
    let mut buffer = [0; 8];
    child::until("the bytes are there", || Ok(right.read(&mut buffer)? == 4))?;
    check_eq!(right.read(&mut buffer)?, 0);
    Ok(())
}

fn shutdown_without_a_connection_fails() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(shutdown(socket.as_raw_fd(), nix::sys::socket::Shutdown::Both), ENOTCONN);
    Ok(())
}

fn shutdown_wakes_a_reader() -> Outcome {
    let (_left, right) = pair()?;
    let mut reader = right.try_clone()?;
    let waiter = std::thread::spawn(move || reader.read(&mut [0]));
    std::thread::sleep(std::time::Duration::from_millis(20));
    right.shutdown(Shutdown::Read)?;
    let read = waiter.join().map_err(|_| crate::case::Failure::wrong("the reader died"))?;
    check_eq!(read?, 0);
    Ok(())
}

fn closing_an_unaccepted_connection_resets() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    drop(listener);
    check_fails!(nix::unistd::read(&client, &mut [0]), ECONNRESET);
    Ok(())
}

fn an_unread_error_is_in_poll() -> Outcome {
    let (left, right) = pair()?;
    linger(&left)?;
    drop(left);
    until_events(&right, ALL | libc::POLLERR | libc::POLLHUP)?;
    check_eq!(option_of(&right, libc::SOL_SOCKET, libc::SO_ERROR)?, libc::ECONNRESET);
    check_eq!(option_of(&right, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
    check_eq!(events(&right)?, flags(ALL | libc::POLLHUP));
    Ok(())
}

fn a_closed_listener_refuses() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    check_fails!(TcpStream::connect(address), ECONNREFUSED);
    check!(TcpListener::bind(address).is_ok());
    Ok(())
}
