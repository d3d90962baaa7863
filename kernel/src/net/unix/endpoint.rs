//! What others see of a socket: its name, its inbox, its state, and who waits for it.

use super::connection::Backlog;
use super::inbox::Inbox;
use super::names::{self, Name};
use super::packet::Packet;
use super::report;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::ns::NetNs;
use crate::net::{Kind, Options, Shutdown};
use crate::process::Process;
use crate::process::namespace::NamespaceId;
use alloc::sync::Arc;
use coffer_abi_types::net::ucred;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};
use ostd::sync::{Once, SpinLock, WaitQueue};

/// A socket as its peers know it. It holds no peer: two of them would keep each other alive.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) kind: Kind,
    /// The network namespace that it was made in: abstract names and tables of sockets are its.
    pub(super) namespace: NamespaceId,
    pub(super) options: Options,
    pub(super) inbox: Inbox,
    pub(super) pollee: Pollee,
    /// Who waits to read here.
    pub(super) readable: WaitQueue,
    /// Who waits to write into this inbox.
    pub(super) writable: WaitQueue,
    /// Connections that wait to be accepted, once it listens.
    pub(super) backlog: Once<Backlog>,
    /// Who is at the other end; of a listener, who listens.
    pub(super) peer_credentials: SpinLock<Option<ucred>>,
    /// The address of the endpoint that it is connected to, 0 for none: a datagram socket with a peer takes from no other.
    pub(super) peer_key: AtomicUsize,
    /// The address of the listener in whose queue it waits, 0 for none.
    pub(super) listener_key: AtomicUsize,
    name: SpinLock<Option<Arc<Name>>>,
    /// Directions that are over, as [`Shutdown`].
    shut: AtomicU8,
    /// The errno to report once; 0 for none.
    error: AtomicI32,
    is_closed: AtomicBool,
}

impl Endpoint {
    /// Neither named nor connected.
    pub fn new(kind: Kind) -> Arc<Self> {
        let endpoint = Arc::new(Self {
            kind,
            namespace: NetNs::current().map_or_else(|_| NetNs::initial().id(), |namespace| namespace.id()),
            options: Options::new(),
            inbox: Inbox::new(),
            pollee: Pollee::new(),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            backlog: Once::new(),
            peer_credentials: SpinLock::new(None),
            peer_key: AtomicUsize::new(0),
            listener_key: AtomicUsize::new(0),
            name: SpinLock::new(None),
            shut: AtomicU8::new(0),
            error: AtomicI32::new(0),
            is_closed: AtomicBool::new(false),
        });
        report::add(&endpoint);
        endpoint
    }

    /// What it is told apart by while it is alive.
    pub fn key(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The key of whoever leads to its inbox: itself, or its listener while it waits to be accepted.
    pub fn holder(self: &Arc<Self>) -> usize {
        match self.listener_key.load(Ordering::SeqCst) {
            0 => self.key(),
            listener => listener,
        }
    }

    /// Its name.
    pub fn name(&self) -> Option<Arc<Name>> {
        self.name.lock().clone()
    }

    /// Gives it a name; `false` (and the name is dropped) if it has one.
    pub fn set_name(&self, new: Arc<Name>) -> bool {
        let mut name = self.name.lock();
        let is_free = name.is_none();
        if is_free {
            *name = Some(new);
        }
        is_free
    }

    /// Whether nothing more can be read once the inbox is empty.
    pub fn is_read_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Read as u8 != 0
    }

    /// Whether its owner may send no more.
    pub fn is_write_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Write as u8 != 0
    }

    /// Ends directions, seen from the owner of this endpoint, and tells everybody.
    pub fn shut(&self, how: Shutdown) {
        let all = self.shut.fetch_or(how as u8, Ordering::SeqCst) | how as u8;
        self.readable.wake_all();
        self.writable.wake_all();
        let mut events = IoEvents::IN | IoEvents::RDNORM | IoEvents::OUT | IoEvents::WRNORM | IoEvents::RDHUP;
        if all == Shutdown::Both as u8 {
            events |= IoEvents::HUP;
        }
        self.pollee.notify(events);
    }

    /// Whether its socket is gone.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// The socket goes: gives the name up and throws away what was not read. Returns whether something was.
    pub fn close(&self) -> bool {
        self.is_closed.store(true, Ordering::SeqCst);
        if let Some(name) = self.name() {
            names::release(&name, self);
        }
        let left = self.inbox.lock().take_all();
        let had_unread = !left.is_empty();
        drop(left);
        self.writable.wake_all();
        had_unread
    }

    /// Sets the error to report once.
    pub fn set_error(&self, errno: Errno) {
        self.error.store(errno as i32, Ordering::SeqCst);
        self.readable.wake_all();
        self.pollee.notify(IoEvents::ERR);
    }

    /// Whether there is an error to report.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::SeqCst) != 0
    }

    /// The error to report, once.
    pub fn take_error(&self) -> Option<Errno> {
        match self.error.swap(0, Ordering::SeqCst) {
            0 => None,
            error if error == Errno::ECONNRESET as i32 => Some(Errno::ECONNRESET),
            _ => Some(Errno::ECONNREFUSED),
        }
    }

    /// Puts a packet into the inbox and tells its owner.
    ///
    /// # Errors
    /// EPIPE if the socket is gone.
    pub fn deliver(&self, packet: Packet) -> Result<()> {
        let mut packets = self.inbox.lock();
        // Looked at with the lock held: closing takes it to empty the inbox for good.
        if self.is_closed() {
            return Err(Errno::EPIPE.into());
        }
        packets.push(packet);
        drop(packets);
        self.announce_arrival();
        Ok(())
    }

    /// Tells its owner that something has arrived.
    pub fn announce_arrival(&self) {
        self.readable.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }
}

/// Who `process` is to its peers.
pub fn credentials_of(process: &Process) -> ucred {
    let credentials = process.credentials();
    ucred { pid: process.pid(), uid: credentials.uid[1], gid: credentials.gid[1] }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        report::remove(self);
    }
}
