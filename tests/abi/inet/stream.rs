//! Bytes over a connection: send(2) and recv(2) with their flags, time-outs, and signals.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{MsgFlags, SockFlag, recv, send};

use super::{at, pair, stream_socket};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("inet":
    bytes_go_both_ways_over_tcp,
    addresses_tell_both_ends,
    a_large_transfer_over_tcp_between_threads,
    many_small_writes_are_one_stream,
    a_nonblocking_stream_fills_up_and_empties,
    peeking_leaves_the_bytes_of_a_stream,
    waitall_waits_for_all,
    waitall_gives_less_at_the_end,
    msg_trunc_throws_bytes_away,
    urgent_data_is_never_there,
    a_receive_timeout_ends_a_wait_on_tcp,
    a_send_timeout_ends_a_wait_on_tcp,
    ioctls_count_bytes,
    a_signal_interrupts_a_receive,
    sendfile_goes_to_a_socket,
    splice_goes_to_and_from_a_socket,
    receiving_without_a_connection_fails,
    sending_without_a_connection_is_a_broken_pipe,
    a_read_of_nothing_waits_for_something,
    a_bad_buffer_loses_no_bytes,
);

fn bytes_go_both_ways_over_tcp() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.write_all(b"to the right")?;
    right.write_all(b"to the left")?;
    let mut buffer = [0; 32];
    check_eq!(right.read(&mut buffer)?, 12);
    check_eq!(left.read(&mut buffer)?, 11);
    check_eq!(&buffer[..11], b"to the left");
    Ok(())
}

fn addresses_tell_both_ends() -> Outcome {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let address = listener.local_addr()?;
    check!(address.port() != 0);
    let client = std::net::TcpStream::connect(("127.0.0.1", address.port()))?;
    let (server, from) = listener.accept()?;
    check_eq!(from, client.local_addr()?);
    check_eq!(server.peer_addr()?, client.local_addr()?);
    check_eq!(server.local_addr()?, client.peer_addr()?);
    check_eq!(server.local_addr()?.ip().to_string(), "127.0.0.1");
    check!((32768..=60999).contains(&client.local_addr()?.port()));
    Ok(())
}

fn a_large_transfer_over_tcp_between_threads() -> Outcome {
    let (mut left, mut right) = pair()?;
    let size = 8 << 20;
    let writer = thread::spawn(move || {
        let block: Vec<u8> = (0..65_536_u32).map(|at| (at % 251) as u8).collect();
        for _ in 0..size / block.len() {
            left.write_all(&block)?;
        }
        Ok::<_, std::io::Error>(())
    });
    let mut total = 0;
    let mut buffer = vec![0; 50_000];
    loop {
        let len = right.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        let is_right = buffer[..len]
            .iter()
            .enumerate()
            .all(|(at, byte)| usize::from(*byte) == (total + at) % 65_536 % 251);
        check!(is_right);
        total += len;
    }
    check_eq!(total, size);
    check!(writer.join().is_ok_and(|result| result.is_ok()));
    Ok(())
}

fn many_small_writes_are_one_stream() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.set_nodelay(true)?;
    for at in 0..3000_u32 {
        left.write_all(&[at as u8])?;
    }
    drop(left);
    let mut bytes = Vec::new();
    right.read_to_end(&mut bytes)?;
    check_eq!(bytes.len(), 3000);
    check!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    Ok(())
}

fn a_nonblocking_stream_fills_up_and_empties() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.set_nonblocking(true)?;
    let block = [7; 10_000];
    let mut sent = 0;
    let full = loop {
        match left.write(&block) {
            Ok(len) => sent += len,
            Err(error) => break error,
        }
    };
    check_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    check!(sent > 20_000, "only {sent} bytes fit");
    check!(!super::events(&left)?.contains(nix::poll::PollFlags::POLLOUT));
    let mut received = 0;
    let mut buffer = vec![0; 65_536];
    while received < sent {
        received += right.read(&mut buffer)?;
    }
    check_eq!(received, sent);
    child::until("there is room", || Ok(super::events(&left)?.contains(nix::poll::PollFlags::POLLOUT)))?;
    check!(left.write(&block)? > 0);
    Ok(())
}

fn peeking_leaves_the_bytes_of_a_stream() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.write_all(b"first")?;
    left.write_all(b"second")?;
    let mut buffer = [0; 32];
    child::until("all is there", || Ok(right.peek(&mut buffer)? == 11))?;
    check_eq!(&buffer[..11], b"firstsecond");
    check_eq!(right.read(&mut buffer[..5])?, 5);
    check_eq!(right.peek(&mut buffer)?, 6);
    check_eq!(right.read(&mut buffer)?, 6);
    check_eq!(&buffer[..6], b"second");
    Ok(())
}

fn waitall_waits_for_all() -> Outcome {
    let (mut left, right) = pair()?;
    let writer = thread::spawn(move || {
        for part in [&b"one"[..], b"two", b"three"] {
            thread::sleep(Duration::from_millis(10));
            let _ = left.write_all(part);
        }
        left
    });
    let mut buffer = [0; 11];
    check_eq!(recv(right.as_raw_fd(), &mut buffer, MsgFlags::MSG_WAITALL)?, 11);
    check_eq!(&buffer, b"onetwothree");
    check!(writer.join().is_ok());
    Ok(())
}

fn waitall_gives_less_at_the_end() -> Outcome {
    let (mut left, right) = pair()?;
    left.write_all(b"short")?;
    left.shutdown(Shutdown::Write)?;
    let mut buffer = [0; 100];
    check_eq!(recv(right.as_raw_fd(), &mut buffer, MsgFlags::MSG_WAITALL)?, 5);
    check_eq!(recv(right.as_raw_fd(), &mut buffer, MsgFlags::MSG_WAITALL)?, 0);
    Ok(())
}

fn msg_trunc_throws_bytes_away() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.write_all(b"away and kept")?;
    let mut buffer = *b"untouched";
    check_eq!(recv(right.as_raw_fd(), &mut buffer[..5], MsgFlags::MSG_TRUNC | MsgFlags::MSG_WAITALL)?, 5);
    check_eq!(&buffer, b"untouched");
    let mut rest = [0; 32];
    check_eq!(right.read(&mut rest)?, 8);
    check_eq!(&rest[..8], b"and kept");
    Ok(())
}

fn urgent_data_is_never_there() -> Outcome {
    let (_left, right) = pair()?;
    check_fails!(recv(right.as_raw_fd(), &mut [0], MsgFlags::MSG_OOB), EINVAL);
    Ok(())
}

fn a_receive_timeout_ends_a_wait_on_tcp() -> Outcome {
    let (_left, right) = pair()?;
    right.set_read_timeout(Some(Duration::from_millis(30)))?;
    let start = Instant::now();
    check_fails!(nix::unistd::read(&right, &mut [0]), EAGAIN);
    check!(start.elapsed() >= Duration::from_millis(30));
    Ok(())
}

fn a_send_timeout_ends_a_wait_on_tcp() -> Outcome {
    let (mut left, _right) = pair()?;
    left.set_write_timeout(Some(Duration::from_millis(30)))?;
    let block = vec![0; 1 << 20];
    let mut writes = 0;
    let error = loop {
        match left.write(&block) {
            Ok(_) => writes += 1,
            Err(error) => break error,
        }
        check!(writes < 100);
    };
    check_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    Ok(())
}

fn ioctls_count_bytes() -> Outcome {
    let (mut left, right) = pair()?;
    left.write_all(b"12345")?;
    let mut count: libc::c_int = 0;
    child::until("the bytes are there", || {
        // SAFETY: the count is a live local.
        unsafe { libc::ioctl(right.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        Ok(count == 5)
    })?;
    child::until("the bytes were acknowledged", || {
        // SAFETY: as above.
        unsafe { libc::ioctl(left.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        Ok(count == 0)
    })?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: as above.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    check_eq!(result, -1);
    Ok(())
}

fn a_signal_interrupts_a_receive() -> Outcome {
    extern "C" fn nothing(_: libc::c_int) {}
    child::passes(|| {
        let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing.
        unsafe { sigaction(Signal::SIGUSR1, &action) }?;
        let (_left, mut right) = pair()?;
        let receiver = nix::unistd::getpid();
        let killer = child::fork(|| {
            thread::sleep(Duration::from_millis(50));
            i32::from(nix::sys::signal::kill(receiver, Signal::SIGUSR1).is_err())
        })?;
        let result = right.read(&mut [0]);
        check_fails!(result, EINTR);
        check_eq!(killer.exit_code()?, 0);
        Ok(())
    })
}

fn sendfile_goes_to_a_socket() -> Outcome {
    let (left, mut right) = pair()?;
    let path = "/tmp/inet-sendfile";
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 253) as u8).collect();
    std::fs::write(path, &content)?;
    let file = std::fs::File::open(path)?;
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        right.read_to_end(&mut bytes).map(|_| bytes)
    });
    let mut offset = 100;
    while (offset as usize) < content.len() {
        check!(nix::sys::sendfile::sendfile(&left, &file, Some(&mut offset), 1 << 20)? > 0);
    }
    drop(left);
    let bytes = reader.join().map_err(|_| crate::case::Failure::wrong("the reader died"))??;
    check!(bytes == content[100..]);
    std::fs::remove_file(path)?;
    Ok(())
}

fn splice_goes_to_and_from_a_socket() -> Outcome {
    use nix::fcntl::{SpliceFFlags, splice};
    let (mut left, right) = pair()?;
    let (other, mut end) = pair()?;
    let (from, to) = nix::unistd::pipe()?;
    left.write_all(b"through a pipe")?;
    check_eq!(splice(&right, None, &to, None, 100, SpliceFFlags::empty())?, 14);
    check_eq!(splice(&from, None, &other, None, 100, SpliceFFlags::empty())?, 14);
    let mut buffer = [0; 32];
    check_eq!(end.read(&mut buffer)?, 14);
    check_eq!(&buffer[..14], b"through a pipe");
    Ok(())
}

fn receiving_without_a_connection_fails() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(recv(socket.as_raw_fd(), &mut [0], MsgFlags::empty()), ENOTCONN);
    nix::sys::socket::bind(socket.as_raw_fd(), &at(0))?;
    nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(1)?)?;
    check_fails!(recv(socket.as_raw_fd(), &mut [0], MsgFlags::empty()), ENOTCONN);
    Ok(())
}

fn sending_without_a_connection_is_a_broken_pipe() -> Outcome {
    let socket = stream_socket(SockFlag::empty())?;
    check_fails!(send(socket.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL), EPIPE);
    let child = child::fork(|| {
        // SAFETY: the default action, which ends the child.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        let _ = send(socket.as_raw_fd(), b"x", MsgFlags::empty());
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGPIPE);
    Ok(())
}

fn a_read_of_nothing_waits_for_something() -> Outcome {
    let (mut left, right) = pair()?;
    check_fails!(recv(right.as_raw_fd(), &mut [], MsgFlags::MSG_DONTWAIT), EAGAIN);
    left.write_all(b"x")?;
    check_eq!(recv(right.as_raw_fd(), &mut [], MsgFlags::empty())?, 0);
    check_eq!(recv(right.as_raw_fd(), &mut [0], MsgFlags::empty())?, 1);
    Ok(())
}

fn a_bad_buffer_loses_no_bytes() -> Outcome {
    let (mut left, mut right) = pair()?;
    left.write_all(b"kept")?;
    child::until("the bytes are there", || Ok(right.peek(&mut [0; 8])? == 4))?;
    let arguments = [right.as_raw_fd() as usize, crate::raw::BAD_ADDRESS, 4, 0, 0, 0];
    check_fails!(crate::raw::harmless(libc::SYS_recvfrom, arguments), EFAULT);
    let mut buffer = [0; 8];
    check_eq!(right.read(&mut buffer)?, 4);
    let arguments = [left.as_raw_fd() as usize, crate::raw::BAD_ADDRESS, 4, 0, 0, 0];
    check_fails!(crate::raw::harmless(libc::SYS_sendto, arguments), EFAULT);
    Ok(())
}
