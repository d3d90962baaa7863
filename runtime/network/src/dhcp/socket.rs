//! The client's socket: UDP, on one link, able to speak and hear before there is an address.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use socket2::{Domain, Protocol, Type};

use super::{Action, Client, Lease};
use crate::Error;

const CLIENT_PORT: u16 = 68;

/// A non-blocking socket on the client's port.
#[derive(Debug)]
pub struct Socket(UdpSocket);

impl Socket {
    /// On the link called `name`.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn open(name: &str) -> Result<Self, Error> {
        let open = || {
            let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_reuse_address(true)?;
            socket.set_broadcast(true)?;
            socket.bind_device(Some(name.as_bytes()))?;
            socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(socket)
        };
        open()
            .map(|socket| Self(socket.into()))
            .map_err(Error::system(format!("open a DHCP socket on `{name}`")))
    }

    /// Sends what the client has to say and takes what has come, without waiting; gives leases and their ends, in order.
    pub fn drive(&self, client: &mut Client, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut buffer = [0; 2048];
        // Any error is as good as nothing received: the client asks again.
        while let Ok((count, from)) = self.0.recv_from(&mut buffer) {
            if from.port() != super::SERVER_PORT {
                continue;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            changes.extend(client.receive(bytes, now).map(Change::Bound));
        }
        while let Some(action) = client.poll(now) {
            match action {
                Action::Send { to, bytes } => {
                    // A message that cannot be sent is one that was lost: the client repeats it.
                    let _ = self.0.send_to(&bytes, to);
                }
                Action::Lost(lease) => changes.push(Change::Lost(lease)),
            }
        }
        changes
    }
}

/// What happened to the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is one, or another one.
    Bound(Lease),
    /// It has ended.
    Lost(Lease),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
