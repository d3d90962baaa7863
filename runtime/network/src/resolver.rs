//! The sockets of a container's name server: in the container's namespace, held by the machine.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use rustix::process::Pid;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;
use crate::netlink::in_namespace_of;

/// Where containers find it, as in docker.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// How many connections wait to be accepted.
const BACKLOG: i32 = 16;

/// Opens both sockets in the network namespace of `pid`, whose loopback link is up. They do not block.
///
/// # Errors
/// What the kernel says, such as that a program of the container has the port.
pub fn open(pid: Pid) -> Result<(UdpSocket, TcpListener), Error> {
    in_namespace_of(pid, || {
        let what = || format!("listen on {ADDRESS}");
        let bound = |kind, protocol| {
            let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
            // So that a name server in the container may have the port at its other addresses.
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddrV4::new(ADDRESS, PORT).into())?;
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(socket)
        };
        let fail = |source| Error::System { what: what(), source };
        let datagrams = bound(Type::DGRAM, Protocol::UDP).map_err(fail)?;
        let connections = bound(Type::STREAM, Protocol::TCP).map_err(fail)?;
        connections.listen(BACKLOG).map_err(fail)?;
        Ok((datagrams.into(), connections.into()))
    })
}
