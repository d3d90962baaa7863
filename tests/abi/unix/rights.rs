//! Descriptors sent over a socket: SCM_RIGHTS, and the sender's credentials.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg, setsockopt, sockopt,
};

use crate::case::{Outcome, cases, check, check_eq};
use crate::child;

cases!("unix":
    a_descriptor_arrives_in_another_process,
    several_descriptors_arrive_in_order,
    descriptors_that_nobody_reads_are_closed,
    a_chain_of_sockets_in_each_other_is_closed,
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
