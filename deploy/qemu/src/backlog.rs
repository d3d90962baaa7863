//! Room for connections that come at once to the ports of a user network.
//!
//! QEMU's user network (libslirp) listens with a backlog of one. Of what comes beyond, the host's kernel drops the SYN, and who connects
//! tries again after one second, after three, after seven …: of twenty connections that are made at once, eighteen wait, by which the machine
//! seems to hang. There is no option for it; but listen(2) may be called again, on the same socket, by everybody who has a descriptor of it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{getsockname, listen};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::network::{Forward, Protocol};

/// Connections that may wait to be accepted (as of most servers; net.core.somaxconn bounds it).
const BACKLOG: i32 = 1024;

/// Makes room at the listening sockets that the process has for these ports.
///
/// # Errors
/// If the process may not be traced, which pidfd_getfd(2) demands: the machine works without, only slowly where connections come at once.
pub(crate) fn deepen(process: Pid, forwards: &[Forward]) -> io::Result<()> {
    let pidfd = pidfd_open(process, PidfdFlags::empty())?;
    let is_forwarded = |address: SocketAddr| {
        address.ip() == Ipv4Addr::LOCALHOST
            && forwards.iter().any(|it| it.protocol == Protocol::Tcp && it.host == address.port())
    };
    for entry in fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero()))? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        let Some(number) =
            entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket)
        else {
            continue;
        };
        let socket = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty())?;
        let address = getsockname(&socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
        if address.is_some_and(is_forwarded) && socket_acceptconn(&socket)? {
            listen(&socket, BACKLOG)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;
    use std::time::{Duration, Instant};

    use rustix::net::listen;
    use rustix::process::getpid;

    use super::deepen;
    use crate::{Forward, Protocol};

    #[test]
    fn connections_at_once_do_not_wait_for_each_other() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // As libslirp does.
        listen(listener.as_fd(), 1).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let early: Vec<_> = std::iter::repeat_with(connect).take(4).collect();
        assert!(early.last().unwrap().is_err(), "there was room for all");
        let forward = Forward { protocol: Protocol::Tcp, host: address.port(), guest: 80 };
        deepen(getpid(), &[forward]).unwrap();
        let start = Instant::now();
        let late: Vec<_> = std::iter::repeat_with(|| TcpStream::connect(address).unwrap()).take(40).collect();
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
        drop((early, late));
    }
}
