//! Descriptors sent over a socket: SCM_RIGHTS, and the sender's credentials.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg, setsockopt, sockopt,
};

use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("unix":
    a_descriptor_arrives_in_another_process,
    several_descriptors_arrive_in_order,
    descriptors_that_nobody_reads_are_closed,
    a_chain_of_sockets_in_each_other_is_closed,
    circles_of_sockets_in_each_other_are_closed,
    a_listener_in_its_own_queue_is_closed,
    sockets_in_flight_that_can_be_reached_stay,
    a_user_has_so_many_descriptors_in_flight,
    credentials_arrive_when_asked_for,
);

fn send(socket: &UnixStream, files: &[i32]) -> nix::Result<usize> {
    let rights = [ControlMessage::ScmRights(files)];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(b"x")], &rights, MsgFlags::empty(), None)
}

fn receive(socket: &UnixStream) -> nix::Result<Vec<OwnedFd>> {
    let (mut space, mut byte) = (cmsg_space!([i32; 8]), [0]);
    let mut slices = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let mut files = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these descriptors for this process.
            files.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok(files)
}

fn a_descriptor_arrives_in_another_process() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    let child = child::fork(|| {
        let Ok(mut files) = receive(&right) else { return 1 };
        let Some(file) = files.pop() else { return 2 };
        let mut text = String::new();
        let is_right = File::from(file).read_to_string(&mut text).is_ok() && text == "carried";
        i32::from(!is_right) * 3
    })?;
    std::fs::write("file", "carried")?;
    let file = File::open("file")?;
    std::fs::remove_file("file")?;
    send(&left, &[file.as_raw_fd()])?;
    drop(file);
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn several_descriptors_arrive_in_order() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    let (reader, writer) = nix::unistd::pipe()?;
    send(&left, &[reader.as_raw_fd(), writer.as_raw_fd()])?;
    drop((reader, writer));
    let files = receive(&right)?;
    check_eq!(files.len(), 2);
    nix::unistd::write(&files[1], b"ok")?;
    let mut buffer = [0; 2];
    nix::unistd::read(&files[0], &mut buffer)?;
    check_eq!(&buffer, b"ok");
    check_eq!(nix::fcntl::fcntl(&files[0], nix::fcntl::FcntlArg::F_GETFD)?, libc::FD_CLOEXEC);
    Ok(())
}

fn descriptors_that_nobody_reads_are_closed() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    let (reader, writer) = nix::unistd::pipe()?;
    send(&left, &[writer.as_raw_fd()])?;
    drop(writer);
    drop(right);
    // The write end was in the socket's buffer only: with that gone, the pipe has ended.
    check_eq!(nix::unistd::read(&reader, &mut [0])?, 0);
    Ok(())
}

fn a_chain_of_sockets_in_each_other_is_closed() -> Outcome {
    /// Deep enough for a kernel that recurses to run out of stack.
    const DEPTH: usize = 2000;
    let (reader, writer) = nix::unistd::pipe()?;
    let mut inner: OwnedFd = writer;
    for _ in 0..DEPTH {
        let (left, right) = UnixStream::pair()?;
        send(&left, &[inner.as_raw_fd()])?;
        inner = right.into();
    }
    drop(inner);
    check_eq!(nix::unistd::read(&reader, &mut [0])?, 0);
    Ok(())
}

/// Passes once the last handle to the write end of `reader`'s pipe is gone. Circles are looked for when some socket ends.
fn ends_soon(reader: &OwnedFd) -> Outcome {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        drop(UnixStream::pair()?);
        let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, 10_u16)? == 1 {
            check_eq!(nix::unistd::read(reader, &mut [0])?, 0);
            return Ok(());
        }
    }
    Err(Failure::wrong("nobody collected the sockets"))
}

fn circles_of_sockets_in_each_other_are_closed() -> Outcome {
    // Itself.
    let (reader, writer) = nix::unistd::pipe()?;
    let (left, right) = UnixStream::pair()?;
    send(&left, &[right.as_raw_fd(), writer.as_raw_fd()])?;
    drop((left, right, writer));
    ends_soon(&reader)?;

    // Three in a circle, twice around, with a tail.
    let (reader, writer) = nix::unistd::pipe()?;
    let pairs = [UnixStream::pair()?, UnixStream::pair()?, UnixStream::pair()?];
    for _ in 0..2 {
        for at in 0..3 {
            send(&pairs[at].0, &[pairs[(at + 1) % 3].1.as_raw_fd()])?;
        }
    }
    let (tail_left, tail_right) = UnixStream::pair()?;
    send(&tail_left, &[writer.as_raw_fd()])?;
    send(&pairs[1].0, &[tail_right.as_raw_fd()])?;
    drop((pairs, tail_left, tail_right, writer));
    ends_soon(&reader)
}

fn a_listener_in_its_own_queue_is_closed() -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    let listener = UnixListener::bind("socket")?;
    let client = UnixStream::connect("socket")?;
    send(&client, &[listener.as_raw_fd(), writer.as_raw_fd()])?;
    drop((listener, writer, client));
    ends_soon(&reader)
}

fn sockets_in_flight_that_can_be_reached_stay() -> Outcome {
    let (first, second) = (UnixStream::pair()?, UnixStream::pair()?);
    // A circle, one of whose members is here.
    send(&first.0, &[second.1.as_raw_fd()])?;
    send(&second.0, &[first.1.as_raw_fd()])?;
    drop((first.0, second.0, second.1));
    for _ in 0..20 {
        drop(UnixStream::pair()?);
        std::thread::sleep(Duration::from_millis(2));
    }
    let inner = receive(&first.1)?.pop().ok_or(nix::errno::Errno::ENOENT)?;
    drop(first.1);
    drop(UnixStream::pair()?);
    let outer = receive(&UnixStream::from(inner))?.pop().ok_or(nix::errno::Errno::ENOENT)?;
    check!(UnixStream::from(outer).peer_addr().is_ok());
    Ok(())
}

fn a_user_has_so_many_descriptors_in_flight() -> Outcome {
    const LIMIT: usize = 20;
    let (left, right) = UnixStream::pair()?;
    // Root, who may do more than the limit says.
    for _ in 0..LIMIT + 10 {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, LIMIT as u64, 1024)?;
        send(&left, &[left.as_raw_fd()])?;
    }
    drop((left, right));
    child::passes(|| {
        let (left, right) = UnixStream::pair()?;
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1234))?;
        let mut sent = 0;
        while sent < LIMIT * 2 && send(&left, &[left.as_raw_fd()]).is_ok() {
            sent += 1;
        }
        check_eq!(sent, LIMIT + 1);
        check_fails!(send(&left, &[left.as_raw_fd()]), ETOOMANYREFS);
        drop(receive(&right)?);
        send(&left, &[left.as_raw_fd()])?;
        Ok(())
    })
}

fn credentials_arrive_when_asked_for() -> Outcome {
    let (left, right) = UnixStream::pair()?;
    setsockopt(&right, sockopt::PassCred, &true)?;
    let child = child::fork(|| i32::from(nix::unistd::write(&left, b"x").is_err()))?;
    let (mut space, mut byte) = (cmsg_space!(nix::sys::socket::UnixCredentials), [0]);
    let mut slices = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<UnixAddr>(right.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())?;
    let credentials = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials),
        _ => None,
    });
    check!(
        credentials
            .is_some_and(|credentials| credentials.pid() == child.pid.as_raw() && credentials.uid() == 0)
    );
    check_eq!(child.exit_code()?, 0);
    Ok(())
}
