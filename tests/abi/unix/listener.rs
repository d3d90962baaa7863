//! The end of a listener, seen by those who are not accepted yet.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

use crate::case::{Numbered, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("unix":
    those_who_wait_are_reset_when_their_listener_closes,
    a_reader_and_a_poller_wake_when_their_listener_closes,
    connecting_to_a_full_listener_fails_when_it_closes,
    nobody_is_left_behind_by_listeners_that_come_and_go,
);

fn those_who_wait_are_reset_when_their_listener_closes() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    let mut client = UnixStream::connect("socket")?;
    drop(listener);
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    check_eq!(poll(&mut polled, PollTimeout::ZERO)?, 1);
    let all = PollFlags::POLLIN | PollFlags::POLLERR | PollFlags::POLLHUP;
    check_eq!(polled[0].revents(), Some(all));
    check_fails!(nix::unistd::read(&client, &mut [0]), ECONNRESET);
    check_eq!(client.read(&mut [0])?, 0);
    check_fails!(nix::unistd::write(&client, b"x"), EPIPE);
    Ok(())
}

fn a_reader_and_a_poller_wake_when_their_listener_closes() -> Outcome {
    let listener = UnixListener::bind("socket")?;
    let mut reading = UnixStream::connect("socket")?;
    let polling = UnixStream::connect("socket")?;
    let reader = child::fork(|| {
        // SAFETY: the child must not keep it open; it leaves without running destructors.
        unsafe { libc::close(listener.as_raw_fd()) };
        match reading.read(&mut [0]) {
            Err(error) if error.number() == Errno::ECONNRESET => 0,
            _ => 1,
        }
    })?;
    let poller = child::fork(|| {
        // SAFETY: as above.
        unsafe { libc::close(listener.as_raw_fd()) };
        let mut polled = [PollFd::new(polling.as_fd(), PollFlags::POLLIN)];
        i32::from(!matches!(poll(&mut polled, 5000_u16), Ok(1)))
    })?;
    reader.until_asleep()?;
    poller.until_asleep()?;
    drop(listener);
    check_eq!(reader.exit_code()?, 0);
    check_eq!(poller.exit_code()?, 0);
    Ok(())
}

fn connecting_to_a_full_listener_fails_when_it_closes() -> Outcome {
    let stream = || socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let address = UnixAddr::new("socket")?;
    let listener = stream()?;
    bind(listener.as_raw_fd(), &address)?;
    listen(&listener, Backlog::new(0)?)?;
    let first = stream()?;
    connect(first.as_raw_fd(), &address)?;
    let child = child::fork(|| {
        // SAFETY: the child must not keep it open.
        unsafe { libc::close(listener.as_raw_fd()) };
        let second = match stream() {
            Ok(second) => second,
            Err(_) => return 2,
        };
        i32::from(connect(second.as_raw_fd(), &address) != Err(Errno::ECONNREFUSED))
    })?;
    child.until_asleep()?;
    drop(listener);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

/// How a connection ended of which nobody knows whether it was accepted.
fn ends_properly(mut client: UnixStream) -> bool {
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    if !matches!(poll(&mut polled, 5000_u16), Ok(1)) {
        return false;
    }
    match client.read(&mut [0]) {
        // Never accepted.
        Err(error) => error.number() == Errno::ECONNRESET,
        // Accepted: it was sent a byte.
        Ok(count) => count == 1,
    }
}

fn nobody_is_left_behind_by_listeners_that_come_and_go() -> Outcome {
    let address = SocketAddr::from_abstract_name(format!("coffer-{}", std::process::id()))?;
    let (is_over, wrong) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (connected, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let Ok(client) = UnixStream::connect_addr(&address) else {
                        thread::yield_now();
                        continue;
                    };
                    connected.fetch_add(1, Ordering::SeqCst);
                    if !ends_properly(client) {
                        wrong.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let end = Instant::now() + Duration::from_millis(2500);
        let mut result = Ok(());
        while result.is_ok() && Instant::now() < end {
            result = (|| -> Outcome {
                let listener = UnixListener::bind_addr(&address)?;
                listener.set_nonblocking(true)?;
                for _ in 0..3 {
                    if let Ok((stream, _)) = listener.accept() {
                        check_eq!(nix::unistd::write(&stream, b"x")?, 1);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                    thread::yield_now();
                }
                Ok(())
            })();
        }
        is_over.store(true, Ordering::SeqCst);
        result
    })?;
    let (connected, served) = (connected.into_inner(), served.into_inner());
    check!(served > 0 && connected > served, "{connected} connections, {served} of them accepted");
    check_eq!(wrong.into_inner(), 0);
    Ok(())
}
