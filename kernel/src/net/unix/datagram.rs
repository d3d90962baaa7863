//! Messages that keep their boundaries: datagrams, each with a target of its own, and sequences of packets over a connection.

use super::address::Address;
use super::endpoint::Endpoint;
use super::packet::Packet;
use super::rights::Rights;
use super::{UnixSocket, names};
use crate::error::{Errno, Error, Result};
use crate::net::Kind;
use crate::net::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::thread::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{MSG_EOR, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use core::sync::atomic::Ordering;

impl UnixSocket {
    pub(super) fn connect_datagrams(&self, address: Address<'_>, thread: &Thread) -> Result<()> {
        let target = self.find_target(address, thread)?;
        self.set_peer(Some(target));
        Ok(())
    }

    /// Who has the name, if it takes datagrams from us.
    fn find_target(&self, address: Address<'_>, thread: &Thread) -> Result<Arc<Endpoint>> {
        let target = names::find(address, thread)?;
        if target.kind != Kind::Datagram {
            return Err(Errno::EPROTOTYPE.into());
        }
        let peer_key = target.peer_key.load(Ordering::SeqCst);
        if peer_key != 0 && peer_key != self.endpoint.key() {
            return Err(Errno::EPERM.into());
        }
        Ok(target)
    }

    pub(super) fn send_datagram(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        let target = match message.to {
            Some(address) => {
                let thread = Thread::current().ok_or(Error::new(Errno::EINVAL))?;
                self.find_target(Address::parse(address)?, &thread)?
            }
            None => self.peer().ok_or(Error::new(Errno::ENOTCONN))?,
        };
        if self.endpoint.is_write_shut() {
            return Err(Errno::EPIPE.into());
        }
        if target.is_closed() {
            self.set_peer(None);
            return Err(Errno::ECONNREFUSED.into());
        }
        if target.is_read_shut() {
            return Err(Errno::EPIPE.into());
        }
        self.send_packet(source, message, &target).map_err(|error| match error.errno() {
            // It went while we waited for room.
            Errno::EPIPE if target.is_closed() => Error::new(Errno::ECONNREFUSED),
            _ => error,
        })
    }

    pub(super) fn send_in_sequence(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        let peer = self.peer().ok_or(Error::new(Errno::ENOTCONN))?;
        self.send_packet(source, message, &peer)
    }

    fn send_packet(
        &self,
        source: &mut dyn Source,
        message: Outgoing<'_>,
        target: &Arc<Endpoint>,
    ) -> Result<usize> {
        if message.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let len = source.remaining();
        if len > self.endpoint.options.send_buffer() {
            return Err(Errno::EMSGSIZE.into());
        }
        let deadline_ns = self.endpoint.options.send_deadline_ns();
        self.wait_for_room(target, message.may_wait(), deadline_ns)?;
        let rights = Rights::send(message.rights, target)?;
        let mut packet = Packet::take(source, len)?;
        if packet.bytes.len() < len {
            return Err(Errno::EFAULT.into());
        }
        packet.credentials = self.sender(target, message.credentials);
        packet.rights = rights;
        packet.from = self.endpoint.name();
        target.deliver(packet)?;
        Ok(len)
    }

    pub(super) fn receive_packet(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        let endpoint = &*self.endpoint;
        if how.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if endpoint.kind == Kind::SeqPacket && self.peer().is_none() {
            return Err(Errno::ENOTCONN.into());
        }
        let deadline_ns = endpoint.options.receive_deadline_ns();
        loop {
            let is_over = endpoint.is_read_shut();
            if let Some(incoming) = self.take_packet(sink, how.flags)? {
                return Ok(incoming);
            }
            if let Some(error) = endpoint.take_error() {
                return Err(error.into());
            }
            if is_over {
                return Ok(Incoming::default());
            }
            self.wait_for_arrival(how, deadline_ns)?;
        }
    }

    fn take_packet(&self, sink: &mut dyn Sink, flags: u32) -> Result<Option<Incoming>> {
        let mut packets = self.endpoint.inbox.lock();
        let mut incoming = Incoming::default();
        let Some(packet) = packets.get(0) else { return Ok(None) };
        let full = packet.left().len();
        let copied = full.min(sink.remaining());
        let written = if copied > 0 { sink.write(&packet.left()[..copied]) } else { Ok(0) };
        incoming.len = if flags & MSG_TRUNC != 0 { full } else { copied };
        if copied < full {
            incoming.flags |= MSG_TRUNC;
        }
        if self.endpoint.kind == Kind::SeqPacket {
            incoming.flags |= MSG_EOR;
        } else {
            incoming.from = Some(packet.from.as_ref().map_or(Vec::new(), |name| Vec::from(name.bytes())));
        }
        if self.endpoint.options.passes_credentials() {
            incoming.credentials = packet.credentials;
        }
        if flags & MSG_PEEK != 0 {
            incoming.rights = packet.rights.copy();
            return if written? == copied { Ok(Some(incoming)) } else { Err(Errno::EFAULT.into()) };
        }
        let packet = packets.pop();
        drop(packets);
        self.announce_room();
        incoming.rights = packet.map(|mut packet| packet.rights.take()).unwrap_or_default();
        if written? == copied { Ok(Some(incoming)) } else { Err(Errno::EFAULT.into()) }
    }
}
