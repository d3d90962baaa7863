//! Connections: listening, connecting, accepting; streams of bytes, and what sequences of packets share with them.

use super::address::Address;
use super::endpoint::{Endpoint, credentials_of};
use super::packet::Packet;
use super::rights::Rights;
use super::{UnixSocket, names};
use crate::error::{Errno, Error, Result};
use crate::event::IoEvents;
use crate::net::Kind;
use crate::net::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::socket::interrupted;
use crate::thread::{Thread, wait};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use coffer_abi_types::net::{MSG_OOB, MSG_PEEK, MSG_WAITALL};
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::{SpinLock, WaitQueue};

/// The most bytes of a stream that one packet carries.
const CHUNK: usize = 16 * 1024;

/// Connections that wait to be accepted.
#[derive(Debug)]
pub struct Backlog {
    queue: SpinLock<Queue>,
    // Beside the queue, for poll and for sleepers.
    len: AtomicUsize,
    max: AtomicUsize,
    /// Who waits for room.
    room: WaitQueue,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Arc<UnixSocket>>,
    /// The listener is gone. Told under the lock, so that nobody joins a queue that was emptied for good.
    is_closed: bool,
}

/// Why a connection was not queued.
enum Refusal {
    /// There is no room.
    Full(Arc<UnixSocket>),
    /// The listener is gone.
    Closed(Arc<UnixSocket>),
}

impl Backlog {
    fn new(max: usize) -> Self {
        Self {
            queue: SpinLock::new(Queue { waiting: VecDeque::new(), is_closed: false }),
            len: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
            room: WaitQueue::new(),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// One more than the backlog may wait, as Linux counts.
    fn is_full(&self) -> bool {
        self.len.load(Ordering::SeqCst) > self.max.load(Ordering::SeqCst)
    }

    fn push(&self, socket: Arc<UnixSocket>) -> core::result::Result<(), Refusal> {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Err(Refusal::Closed(socket));
        }
        if queue.waiting.len() > self.max.load(Ordering::SeqCst) {
            return Err(Refusal::Full(socket));
        }
        queue.waiting.push_back(socket);
        self.len.store(queue.waiting.len(), Ordering::SeqCst);
        Ok(())
    }

    fn pop(&self) -> Option<Arc<UnixSocket>> {
        let mut queue = self.queue.lock();
        let socket = queue.waiting.pop_front();
        self.len.store(queue.waiting.len(), Ordering::SeqCst);
        drop(queue);
        if socket.is_some() {
            self.room.wake_all();
        }
        socket
    }

    /// The listener goes: those who wait are told that the connection was reset, and nobody can join them any more.
    pub fn refuse_all(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let waiting = core::mem::take(&mut queue.waiting);
        self.len.store(0, Ordering::SeqCst);
        drop(queue);
        for socket in waiting {
            if let Some(client) = socket.peer() {
                client.set_error(Errno::ECONNRESET);
            }
        }
        self.room.wake_all();
    }
}

impl UnixSocket {
    pub(super) fn start_listening(&self, max: usize, thread: &Thread) -> Result<()> {
        if self.endpoint.name().is_none() || self.peer().is_some() {
            return Err(Errno::EINVAL.into());
        }
        *self.endpoint.peer_credentials.lock() = Some(credentials_of(thread.process()));
        let backlog = self.endpoint.backlog.call_once(|| Backlog::new(max));
        backlog.max.store(max, Ordering::SeqCst);
        backlog.room.wake_all();
        Ok(())
    }

    pub(super) fn connect_to_listener(
        &self,
        address: Address<'_>,
        is_nonblocking: bool,
        thread: &Thread,
    ) -> Result<()> {
        if self.endpoint.backlog.get().is_some() {
            return Err(Errno::EINVAL.into());
        }
        let deadline_ns = self.endpoint.options.send_deadline_ns();
        loop {
            let listener = names::find(address, thread)?;
            if listener.kind != self.endpoint.kind {
                return Err(Errno::EPROTOTYPE.into());
            }
            if self.peer().is_some() {
                return Err(Errno::EISCONN.into());
            }
            let backlog = listener.backlog.get().ok_or(Error::new(Errno::ECONNREFUSED))?;
            if listener.is_closed() || listener.is_read_shut() {
                return Err(Errno::ECONNREFUSED.into());
            }
            if !backlog.is_full() && self.join(&listener, backlog, thread)? {
                return Ok(());
            }
            if is_nonblocking {
                return Err(Errno::EAGAIN.into());
            }
            let has_room = || (!backlog.is_full() || listener.is_closed()).then_some(());
            wait::wait_until(&backlog.room, deadline_ns, has_room)
                .map_err(|error| interrupted(error, deadline_ns))?;
        }
    }

    /// Makes the other end and queues it; `false` if somebody else took the last place.
    ///
    /// # Errors
    /// ECONNREFUSED: the listener was closed meanwhile.
    fn join(&self, listener: &Arc<Endpoint>, backlog: &Backlog, thread: &Thread) -> Result<bool> {
        let other = Self::new(self.endpoint.kind);
        if let Some(name) = listener.name() {
            other.endpoint.set_name(name);
        }
        *other.endpoint.peer_credentials.lock() = Some(credentials_of(thread.process()));
        other.endpoint.listener_key.store(listener.key(), Ordering::SeqCst);
        other.set_peer(Some(self.endpoint.clone()));
        let other_endpoint = other.endpoint.clone();
        let listener_credentials = *listener.peer_credentials.lock();
        // Before it can be accepted, so that what the server does at once finds us connected.
        self.set_peer(Some(other_endpoint));
        if let Err(refusal) = backlog.push(other) {
            self.set_peer(None);
            let (Refusal::Full(other) | Refusal::Closed(other)) = &refusal;
            other.set_peer(None);
            return match refusal {
                Refusal::Full(_) => Ok(false),
                Refusal::Closed(_) => Err(Errno::ECONNREFUSED.into()),
            };
        }
        *self.endpoint.peer_credentials.lock() = listener_credentials;
        listener.announce_arrival();
        self.endpoint.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
        Ok(true)
    }

    pub(super) fn accept_connection(&self, is_nonblocking: bool) -> Result<Arc<Self>> {
        let endpoint = &*self.endpoint;
        let backlog = endpoint.backlog.get().ok_or(Error::new(Errno::EINVAL))?;
        let deadline_ns = endpoint.options.receive_deadline_ns();
        loop {
            if let Some(socket) = backlog.pop() {
                // From now on its own, not the listener's.
                socket.endpoint.listener_key.store(0, Ordering::SeqCst);
                return Ok(socket);
            }
            if endpoint.is_read_shut() {
                return Err(Errno::EINVAL.into());
            }
            if is_nonblocking {
                return Err(Errno::EAGAIN.into());
            }
            let is_ready = || (!backlog.is_empty() || endpoint.is_read_shut()).then_some(());
            wait::wait_until(&endpoint.readable, deadline_ns, is_ready)
                .map_err(|error| interrupted(error, deadline_ns))?;
        }
    }

    pub(super) fn send_bytes(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        if message.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let peer = self.peer();
        if message.to.is_some() {
            return Err(if peer.is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP }.into());
        }
        let peer = peer.ok_or(Error::new(Errno::ENOTCONN))?;
        let deadline_ns = self.endpoint.options.send_deadline_ns();
        let may_wait = message.may_wait();
        let sender = self.sender(&peer, message.credentials);
        let mut rights = Rights::send(message.rights, &peer)?;
        let mut total = 0;
        while source.remaining() > 0 {
            if let Err(error) = self.wait_for_room(&peer, may_wait, deadline_ns) {
                return if total > 0 { Ok(total) } else { Err(error) };
            }
            let len = source.remaining().min(CHUNK);
            let mut packet = match Packet::take(source, len) {
                Ok(packet) => packet,
                Err(error) => return if total > 0 { Ok(total) } else { Err(error) },
            };
            let taken = packet.bytes.len();
            packet.rights = core::mem::take(&mut rights);
            packet.credentials = sender;
            if let Err(error) = peer.deliver(packet) {
                return if total > 0 { Ok(total) } else { Err(error) };
            }
            total += taken;
            if taken < len {
                break;
            }
        }
        Ok(total)
    }

    /// Until the peer's inbox takes more, or will take no more: EPIPE.
    pub(super) fn wait_for_room(
        &self,
        peer: &Endpoint,
        may_wait: bool,
        deadline_ns: Option<u64>,
    ) -> Result<()> {
        let is_over = || self.endpoint.is_write_shut() || peer.is_closed();
        loop {
            if is_over() {
                return Err(Errno::EPIPE.into());
            }
            if self.has_room(peer) {
                return Ok(());
            }
            if !may_wait {
                return Err(Errno::EAGAIN.into());
            }
            let has_changed = || (self.has_room(peer) || is_over()).then_some(());
            wait::wait_until(&peer.writable, deadline_ns, has_changed)
                .map_err(|error| interrupted(error, deadline_ns))?;
        }
    }

    pub(super) fn receive_bytes(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        let endpoint = &*self.endpoint;
        if how.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if self.peer().is_none() {
            return Err(if endpoint.backlog.get().is_some() { Errno::EINVAL } else { Errno::ENOTCONN }.into());
        }
        let wants_credentials = endpoint.options.passes_credentials();
        let wants_all = how.flags & MSG_WAITALL != 0 && how.flags & MSG_PEEK == 0;
        let deadline_ns = endpoint.options.receive_deadline_ns();
        let mut incoming = Incoming::default();
        if sink.remaining() == 0 {
            return Ok(incoming);
        }
        loop {
            let is_over = endpoint.is_read_shut();
            let more = self.collect(sink, how.flags & MSG_PEEK != 0, wants_credentials, &mut incoming);
            match more {
                Err(error) if incoming.len == 0 => return Err(error),
                Err(_) => return Ok(incoming),
                Ok(may_join) if sink.remaining() == 0 || !may_join => return Ok(incoming),
                Ok(_) if incoming.len > 0 && !wants_all => return Ok(incoming),
                Ok(_) => {}
            }
            if incoming.len == 0
                && let Some(error) = endpoint.take_error()
            {
                return Err(error.into());
            }
            if is_over {
                return Ok(incoming);
            }
            match self.wait_for_arrival(how, deadline_ns) {
                Ok(()) => {}
                Err(_) if incoming.len > 0 => return Ok(incoming),
                Err(error) => return Err(error),
            }
        }
    }

    /// Until something has arrived, or nothing will any more.
    pub(super) fn wait_for_arrival(&self, how: ReceiveHow, deadline_ns: Option<u64>) -> Result<()> {
        let endpoint = &*self.endpoint;
        if !how.may_wait() {
            return Err(Errno::EAGAIN.into());
        }
        wait::wait_until(&endpoint.readable, deadline_ns, || {
            (!endpoint.inbox.is_empty() || endpoint.is_read_shut() || endpoint.has_error()).then_some(())
        })
        .map_err(|error| interrupted(error, deadline_ns))
    }

    /// Moves what is there; `false` if what comes next must not be joined with it (other rights, another sender).
    fn collect(
        &self,
        sink: &mut dyn Sink,
        is_peek: bool,
        wants_credentials: bool,
        incoming: &mut Incoming,
    ) -> Result<bool> {
        let mut packets = self.endpoint.inbox.lock();
        let mut gone = VecDeque::new();
        let mut at = 0;
        let mut result = Ok(true);
        while sink.remaining() > 0
            && let Some(packet) = packets.get(at)
        {
            if incoming.len > 0 {
                let is_other = wants_credentials && packet.credentials != incoming.credentials;
                if is_other || !incoming.rights.is_empty() {
                    result = Ok(false);
                    break;
                }
            }
            let written = match sink.write(packet.left()) {
                Ok(written) => written,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let is_whole = written == packet.left().len();
            if wants_credentials {
                incoming.credentials = packet.credentials;
            }
            incoming.len += written;
            if is_peek {
                incoming.rights.append(&mut packet.rights.copy());
                at += 1;
            } else {
                packets.advance(written);
                if let Some(first) = packets.first_mut() {
                    incoming.rights.append(&mut first.rights.take());
                }
                if is_whole {
                    gone.extend(packets.pop());
                }
            }
            if !is_whole {
                break;
            }
        }
        drop(packets);
        if !gone.is_empty() {
            self.announce_room();
        }
        result
    }

    /// Tells whoever sends to us that there is room.
    pub(super) fn announce_room(&self) {
        self.endpoint.writable.wake_all();
        if self.endpoint.kind != Kind::Datagram
            && let Some(peer) = self.peer()
        {
            peer.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
        }
    }
}
