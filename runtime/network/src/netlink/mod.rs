//! rtnetlink, one request at a time: <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>.
//!
//! [`Netlink`] is a socket in one network namespace; `link.rs`, `address.rs` and `route.rs` are what is asked of it. The formats are
//! `netlink-packet-route`'s; the asynchronous `rtnetlink` above it would bring a runtime into PID 1, which has one thread.

mod address;
mod link;
mod route;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::fs::{Mode, OFlags};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::Pid;
use rustix::thread::LinkNameSpaceType;

use crate::Error;
pub use link::{Link, Mac};

/// The longest message that a kernel sends to a reader that did not ask for more.
const BUFFER: usize = 64 << 10;

/// A socket to the kernel's routing tables in one network namespace.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// For the namespace of the calling thread.
    ///
    /// # Errors
    /// If the kernel refuses the socket.
    pub fn open() -> Result<Self, Error> {
        // NETLINK_ROUTE is protocol 0, the default.
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
                .map_err(Error::system("open a netlink socket"))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// For the namespace of the process `pid`. The thread that enters it ends with this call.
    ///
    /// # Errors
    /// If there is no such process, or entering its namespace fails.
    pub fn open_in(pid: Pid) -> Result<Self, Error> {
        in_namespace_of(pid, Self::open)
    }

    /// Sends a request and waits for its acknowledgement; `what` completes "cannot …".
    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
    ) -> Result<(), Error> {
        self.exchange(message, NLM_F_ACK | flags, what, |_| {})
    }

    /// Sends a request for a whole table and gives each of its entries.
    fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        what: &str,
        mut entry: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), Error> {
        self.exchange(message, NLM_F_DUMP, what, &mut entry)
    }

    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
        mut entry: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), Error> {
        let what = what.into();
        let fail = |source: io::Error| Error::System { what: what.clone(), source };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = NLM_F_REQUEST | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        rustix::net::sendto(&self.socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
            .map_err(|errno| fail(errno.into()))?;

        let mut buffer = vec![0; BUFFER];
        loop {
            let (count, _) = rustix::net::recv(&self.socket, &mut buffer, RecvFlags::empty())
                .map_err(|errno| fail(errno.into()))?;
            let mut rest = buffer.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| Error::Answer(error.to_string()))?;
                let len = usize::try_from(answer.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
                rest = rest.get(len..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) => {
                        return if error.code.is_none() { Ok(()) } else { Err(fail(error.to_io())) };
                    }
                    NetlinkPayload::InnerMessage(message) => entry(message),
                    _ => {}
                }
            }
        }
    }
}

/// Runs `work` on a thread of its own in the network namespace of `pid`, so that the caller's stays where it is.
pub(crate) fn in_namespace_of<T: Send>(
    pid: Pid,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
    let namespace = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(Error::system(format!("open `{path}`")))?;
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Error::system(format!("enter `{path}`")))?;
            work()
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
