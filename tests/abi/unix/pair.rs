//! socketpair(2): streams without a name.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{MsgFlags, recv, send};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("unix":
    bytes_go_both_ways,
    closing_gives_end_of_file,
    writing_to_a_closed_peer_fails_with_epipe,
    shutdown_closes_one_direction,
    a_large_transfer_between_processes,
    nonblocking_sockets_fail_with_eagain,
    peek_leaves_the_bytes,
    poll_tells_what_a_socket_can_do,
    a_receive_timeout_ends_the_wait,
    datagrams_keep_their_boundaries,
    ioctl_counts_unread_bytes,
);

fn bytes_go_both_ways() -> Outcome {
    let (mut left, mut right) = UnixStream::pair()?;
    left.write_all(b"to the right")?;
    right.write_all(b"to the left")?;
    let mut buffer = [0; 32];
    check_eq!(right.read(&mut buffer)?, 12);
    check_eq!(left.read(&mut buffer)?, 11);
    check_eq!(&buffer[..11], b"to the left");
    Ok(())
}

fn closing_gives_end_of_file() -> Outcome {
    let (mut left, mut right) = UnixStream::pair()?;
    left.write_all(b"last words")?;
    drop(left);
    let mut text = String::new();
    right.read_to_string(&mut text)?;
    check_eq!(text, "last words");
    check_eq!(right.read(&mut [0])?, 0);
    Ok(())
}

fn writing_to_a_closed_peer_fails_with_epipe() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    drop(left);
    check_fails!(nix::unistd::write(&right, b"x"), EPIPE);
    check_fails!(send(right.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    let (left, right) = UnixStream::pair()?;
    (&right).write_all(b"unread")?;
    drop(left);
    // The peer left bytes unread: the connection was reset.
    check_fails!(nix::unistd::read(&right, &mut [0]), ECONNRESET);
    Ok(())
}

fn shutdown_closes_one_direction() -> Outcome {
    let (mut left, mut right) = UnixStream::pair()?;
    left.shutdown(Shutdown::Write)?;
    check_eq!(right.read(&mut [0])?, 0);
    right.write_all(b"still")?;
    let mut buffer = [0; 5];
    left.read_exact(&mut buffer)?;
    check_fails!(nix::unistd::write(&left, b"x"), EPIPE);
    Ok(())
}

fn a_large_transfer_between_processes() -> Outcome {
    let (mut left, mut right) = UnixStream::pair()?;
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 247) as u8).collect();
    let child = child::fork(|| {
        let mut arrived = vec![0; bytes.len()];
        let is_right = right.read_exact(&mut arrived).is_ok() && arrived == bytes;
        i32::from(!is_right || right.write_all(b"done").is_err())
    })?;
    left.write_all(&bytes)?;
    let mut answer = [0; 4];
    left.read_exact(&mut answer)?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn nonblocking_sockets_fail_with_eagain() -> Outcome {
    let (left, mut right) = UnixStream::pair()?;
    left.set_nonblocking(true)?;
    check_fails!(nix::unistd::read(&left, &mut [0]), EAGAIN);
    let mut sent = 0;
    let error = loop {
        match (&left).write(&[1; 4096]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        check!(sent < 64 << 20, "no end to what a socket takes");
    };
    check_fails!(Err::<(), _>(error), EAGAIN);
    let mut received = 0;
    right.set_nonblocking(true)?;
    while let Ok(count) = right.read(&mut [0; 10_000]) {
        received += count;
    }
    check_eq!(received, sent);
    check_fails!(recv(right.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn peek_leaves_the_bytes() -> Outcome {
    let (mut left, right) = UnixStream::pair()?;
    left.write_all(b"peek")?;
    let mut buffer = [0; 8];
    for flags in [MsgFlags::MSG_PEEK, MsgFlags::empty()] {
        check_eq!(recv(right.as_raw_fd(), &mut buffer, flags)?, 4);
    }
    check_fails!(recv(right.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn poll_tells_what_a_socket_can_do() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    let state = |socket: &UnixStream| -> Outcome<PollFlags> {
        let all = PollFlags::POLLIN | PollFlags::POLLOUT;
        let mut polled = [PollFd::new(socket.as_fd(), all)];
        poll(&mut polled, 0_u8)?;
        Ok(polled[0].revents().unwrap_or(PollFlags::empty()))
    };
    check_eq!(state(&left)?, PollFlags::POLLOUT);
    (&right).write_all(b"x")?;
    check_eq!(state(&left)?, PollFlags::POLLOUT | PollFlags::POLLIN);
    drop(right);
    check!(state(&left)?.contains(PollFlags::POLLIN | PollFlags::POLLHUP));
    Ok(())
}

fn a_receive_timeout_ends_the_wait() -> Outcome {
    let (left, _right) = UnixStream::pair()?;
    left.set_read_timeout(Some(Duration::from_millis(50)))?;
    let start = Instant::now();
    check_fails!(nix::unistd::read(&left, &mut [0]), EAGAIN);
    check!(start.elapsed() >= Duration::from_millis(45), "after {:?}", start.elapsed());
    Ok(())
}

fn datagrams_keep_their_boundaries() -> Outcome {
    let (left, right) = UnixDatagram::pair()?;
    left.send(b"first")?;
    left.send(b"")?;
    left.send(b"a longer third")?;
    let mut buffer = [0; 8];
    check_eq!((right.recv(&mut buffer)?, right.recv(&mut buffer)?), (5, 0));
    check_eq!(right.recv(&mut buffer)?, 8);
    right.set_nonblocking(true)?;
    check_fails!(right.recv(&mut buffer), EAGAIN);
    Ok(())
}

fn ioctl_counts_unread_bytes() -> Outcome {
    let (mut left, right) = UnixStream::pair()?;
    left.write_all(&[0; 1234])?;
    let mut count = 0;
    // SAFETY: the call stores an int in a live local.
    nix::errno::Errno::result(unsafe { libc::ioctl(right.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    check_eq!(count, 1234);
    Ok(())
}
