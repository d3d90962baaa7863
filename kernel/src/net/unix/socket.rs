//! The socket itself: decides by its kind what a call means.

use super::address::{self, Address};
use super::endpoint::{Endpoint, credentials_of};
use super::{in_flight, names};
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::{Kind, Options, Shutdown, Socket};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{AF_UNIX, ucred};
use core::sync::atomic::Ordering;
use ostd::sync::SpinLock;

/// A socket.
#[derive(Debug)]
pub struct UnixSocket {
    pub(super) endpoint: Arc<Endpoint>,
    peer: SpinLock<Option<Arc<Endpoint>>>,
}

impl UnixSocket {
    /// Neither named nor connected.
    pub fn new(kind: Kind) -> Arc<Self> {
        Arc::new(Self { endpoint: Endpoint::new(kind), peer: SpinLock::new(None) })
    }

    /// Two that are connected.
    ///
    /// # Errors
    /// None so far.
    pub fn new_pair(kind: Kind) -> Result<(Arc<Self>, Arc<Self>)> {
        let (first, second) = (Self::new(kind), Self::new(kind));
        let own = Thread::current().map(|thread| credentials_of(thread.process()));
        for (this, other) in [(&first, &second), (&second, &first)] {
            this.set_peer(Some(other.endpoint.clone()));
            *this.endpoint.peer_credentials.lock() = own;
        }
        Ok((first, second))
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> Option<Arc<Endpoint>> {
        self.peer.lock().clone()
    }

    /// Connects, or dissolves.
    pub(super) fn set_peer(&self, peer: Option<Arc<Endpoint>>) {
        self.endpoint.peer_key.store(peer.as_ref().map_or(0, Endpoint::key), Ordering::SeqCst);
        let old = core::mem::replace(&mut *self.peer.lock(), peer);
        drop(old);
    }

    /// Whether there is room for more in `target`, by our SO_SNDBUF.
    pub(super) fn has_room(&self, target: &Endpoint) -> bool {
        target.inbox.charge() < self.endpoint.options.send_buffer()
    }

    /// Who the sender of a message is, if one of the two ends wants to know.
    pub(super) fn sender(&self, target: &Endpoint, claimed: Option<ucred>) -> Option<ucred> {
        let is_wanted = self.endpoint.options.passes_credentials() || target.options.passes_credentials();
        match claimed {
            None if is_wanted => Thread::current().map(|thread| {
                let process = thread.process();
                let credentials = process.credentials();
                ucred { pid: process.pid(), uid: credentials.uid[0], gid: credentials.gid[0] }
            }),
            claimed => claimed,
        }
    }
}

impl Socket for UnixSocket {
    fn family(&self) -> u16 {
        AF_UNIX
    }

    fn kind(&self) -> Kind {
        self.endpoint.kind
    }

    fn options(&self) -> &Options {
        &self.endpoint.options
    }

    fn bind(&self, address: &[u8], thread: &Thread) -> Result<()> {
        let address = Address::parse(address)?;
        if self.endpoint.name().is_some() {
            // Asking for any name a second time is fine.
            return if address == Address::Unnamed { Ok(()) } else { Err(Errno::EINVAL.into()) };
        }
        let name = names::bind(address, &self.endpoint, thread)?;
        if self.endpoint.set_name(Arc::new(name)) { Ok(()) } else { Err(Errno::EINVAL.into()) }
    }

    fn listen(&self, backlog: usize, thread: &Thread) -> Result<()> {
        match self.endpoint.kind {
            Kind::Datagram => Err(Errno::EOPNOTSUPP.into()),
            _ => self.start_listening(backlog, thread),
        }
    }

    fn connect(&self, address: &[u8], is_nonblocking: bool, thread: &Thread) -> Result<()> {
        if self.endpoint.kind == Kind::Datagram {
            if address::is_unspecified(address)? {
                self.set_peer(None);
                return Ok(());
            }
            return self.connect_datagrams(Address::parse(address)?, thread);
        }
        self.connect_to_listener(Address::parse(address)?, is_nonblocking, thread)
    }

    fn accept(&self, is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        match self.endpoint.kind {
            Kind::Datagram => Err(Errno::EOPNOTSUPP.into()),
            _ => Ok(self.accept_connection(is_nonblocking)?),
        }
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address_of(&self.endpoint))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        Ok(address_of(&*self.peer().ok_or(Error::new(Errno::ENOTCONN))?))
    }

    fn peer_credentials(&self) -> Result<ucred> {
        // Nobody: uid and gid -1, as Linux has it.
        let nobody = ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        Ok(self.endpoint.peer_credentials.lock().unwrap_or(nobody))
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        match self.endpoint.kind {
            Kind::Stream => self.send_bytes(source, message),
            Kind::SeqPacket => self.send_in_sequence(source, message),
            Kind::Datagram | Kind::Raw => self.send_datagram(source, message),
        }
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        match self.endpoint.kind {
            Kind::Stream => self.receive_bytes(sink, how),
            Kind::SeqPacket | Kind::Datagram | Kind::Raw => self.receive_packet(sink, how),
        }
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        let peer = self.peer();
        if self.endpoint.kind != Kind::Datagram && peer.is_none() && !self.is_listening() {
            return Err(Errno::ENOTCONN.into());
        }
        self.endpoint.shut(how);
        if let Some(peer) = peer.filter(|_| self.endpoint.kind != Kind::Datagram) {
            peer.shut(match how {
                Shutdown::Read => Shutdown::Write,
                Shutdown::Write => Shutdown::Read,
                Shutdown::Both => Shutdown::Both,
            });
        }
        Ok(())
    }

    fn is_listening(&self) -> bool {
        self.endpoint.backlog.get().is_some()
    }

    fn take_error(&self) -> Option<Errno> {
        self.endpoint.take_error()
    }

    fn unread_bytes(&self) -> usize {
        match self.endpoint.kind {
            Kind::Datagram => self.endpoint.inbox.lock().get(0).map_or(0, |packet| packet.left().len()),
            _ => self.endpoint.inbox.unread(),
        }
    }

    fn kept_bytes(&self) -> usize {
        self.endpoint.inbox.charge() + in_flight::kept_bytes(&self.endpoint)
    }

    fn unsent_bytes(&self) -> usize {
        self.peer().map_or(0, |peer| peer.inbox.charge())
    }

    fn poll(&self) -> IoEvents {
        let endpoint = &*self.endpoint;
        if let Some(backlog) = endpoint.backlog.get() {
            return if backlog.is_empty() { IoEvents::empty() } else { IoEvents::IN | IoEvents::RDNORM };
        }
        let peer = self.peer();
        let mut events = IoEvents::empty();
        if endpoint.has_error() {
            events |= IoEvents::ERR;
        }
        if endpoint.is_read_shut() {
            events |= IoEvents::IN | IoEvents::RDNORM | IoEvents::RDHUP;
            if endpoint.is_write_shut() {
                events |= IoEvents::HUP;
            }
        }
        if !endpoint.inbox.is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if endpoint.kind != Kind::Datagram && peer.is_none() {
            events |= IoEvents::HUP;
        }
        // Writable well before it is full, so that a poller does not wake up for every packet that is read.
        if peer.is_none_or(|peer| peer.inbox.charge() * 4 <= endpoint.options.send_buffer()) {
            events |= IoEvents::OUT | IoEvents::WRNORM | IoEvents::WRBAND;
        }
        events
    }

    fn pollee(&self) -> &Pollee {
        &self.endpoint.pollee
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let had_unread = self.endpoint.close();
        if let Some(backlog) = self.endpoint.backlog.get() {
            backlog.refuse_all();
        }
        let peer = self.peer.get_mut().take();
        if self.endpoint.kind != Kind::Datagram
            && let Some(peer) = peer
        {
            if had_unread {
                peer.set_error(Errno::ECONNRESET);
            }
            peer.shut(Shutdown::Both);
        }
        in_flight::collect();
    }
}

/// Its name as a `sockaddr`.
fn address_of(endpoint: &Endpoint) -> Vec<u8> {
    match endpoint.name() {
        Some(name) => Vec::from(name.bytes()),
        None => Address::Unnamed.to_bytes(),
    }
}
