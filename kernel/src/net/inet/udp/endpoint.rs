//! What the tables and senders see of a socket: its addresses, and what has arrived for it.

use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::inet::address::UNSPECIFIED;
use crate::net::inet::bind;
use crate::net::inet::errors::Errors;
use crate::net::inet::options::IpOptions;
use crate::net::inet::port::{Binding, Standing};
use crate::net::ip::Route;
use crate::net::ns::NetNs;
use crate::net::report::{Report, State, Timer};
use crate::net::{Options, Shutdown};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use ostd::sync::{Mutex, SpinLock, WaitQueue};

/// What a datagram counts for beside its bytes, against SO_RCVBUF.
const OVERHEAD: usize = 640;

/// A datagram that has arrived.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub bytes: Vec<u8>,
    pub from: SocketAddrV4,
    /// The address that it was sent to.
    pub to: Ipv4Addr,
    /// The link that it came in by.
    pub link: u32,
    pub ttl: u8,
    pub tos: u8,
    /// When it came (monotonic).
    pub time_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) ns: Arc<NetNs>,
    pub(super) options: Options,
    pub(super) ip: SpinLock<IpOptions>,
    pub(super) pollee: Pollee,
    /// Who waits to read.
    pub(super) readable: WaitQueue,
    /// Calls that change what the socket is, one at a time.
    pub(super) control: Mutex<()>,
    pub(super) inner: SpinLock<Inner>,
    pub(super) errors: Errors,
    inbox: SpinLock<VecDeque<Datagram>>,
    /// Datagrams in the inbox, and what they count for.
    count: AtomicUsize,
    charge: AtomicUsize,
    pub(super) drops: AtomicU32,
    /// Directions that are over, as [`Shutdown`].
    shut: AtomicU8,
    /// The errno to report once; 0 for none.
    error: AtomicI32,
}

/// What changes together.
#[derive(Debug)]
pub struct Inner {
    pub local: SocketAddrV4,
    pub peer: Option<SocketAddrV4>,
    pub binding: Option<Binding>,
    /// bind(2) named the address.
    pub has_fixed_address: bool,
    /// bind(2) named the port.
    pub has_fixed_port: bool,
    /// The way to the peer, and the generation of the namespace that it is good for.
    pub route: Option<(u64, Route)>,
}

impl Endpoint {
    /// Of a new socket.
    pub fn new(ns: Arc<NetNs>) -> Arc<Self> {
        Arc::new(Self {
            ns,
            options: Options::new(),
            ip: SpinLock::new(IpOptions::new()),
            pollee: Pollee::new(),
            readable: WaitQueue::new(),
            control: Mutex::new(()),
            inner: SpinLock::new(Inner {
                local: UNSPECIFIED,
                peer: None,
                binding: None,
                has_fixed_address: false,
                has_fixed_port: false,
                route: None,
            }),
            errors: Errors::new(),
            inbox: SpinLock::default(),
            count: AtomicUsize::new(0),
            charge: AtomicUsize::new(0),
            drops: AtomicU32::new(0),
            shut: AtomicU8::new(0),
            error: AtomicI32::new(0),
        })
    }

    /// Gives it a port (0: of the kernel's choice) at its address, and makes it known.
    pub(super) fn take_port(self: &Arc<Self>, port: u16) -> Result<()> {
        let address = *self.inner.lock().local.ip();
        let claim = bind::claim(&self.options, self.ip.lock().link, address, Standing::Bound);
        let ports = &self.ns.inet.udp.ports;
        let binding = match port {
            0 => ports.claim_any(&bind::ephemeral_ports(&self.ns), claim).map_err(|error| {
                match error.errno() {
                    // The text of udp(7), of a send that finds no port.
                    Errno::EADDRINUSE => Errno::EAGAIN.into(),
                    _ => error,
                }
            })?,
            _ => ports.claim(port, claim)?,
        };
        let port = binding.port();
        let mut inner = self.inner.lock();
        inner.local.set_port(port);
        inner.binding = Some(binding);
        drop(inner);
        self.ns.inet.udp.add(port, self);
        Ok(())
    }

    /// Gives it a port if it has none.
    pub(super) fn ensure_port(self: &Arc<Self>) -> Result<()> {
        if self.inner.lock().binding.is_some() {
            return Ok(());
        }
        let _control = self.control.lock();
        let has_none = self.inner.lock().binding.is_none();
        if has_none { self.take_port(0) } else { Ok(()) }
    }

    /// Gives the port up.
    pub(super) fn leave_port(&self) {
        let port = self.inner.lock().local.port();
        self.ns.inet.udp.remove(port, self);
        let mut inner = self.inner.lock();
        let binding = inner.binding.take();
        inner.local.set_port(0);
        drop(inner);
        drop(binding);
    }

    /// Puts a datagram into the inbox. One that finds no room is lost, as any datagram may be.
    pub fn deliver(&self, datagram: Datagram) {
        let charge = datagram.bytes.len() + OVERHEAD;
        let mut inbox = self.inbox.lock();
        let has_room = self.charge.load(Ordering::Relaxed) + charge <= self.options.receive_buffer();
        if !has_room || ostd::mm::is_exhausted() {
            self.drops.fetch_add(1, Ordering::Relaxed);
            return;
        }
        inbox.push_back(datagram);
        self.charge.fetch_add(charge, Ordering::Relaxed);
        self.count.store(inbox.len(), Ordering::SeqCst);
        drop(inbox);
        self.readable.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    /// Takes the next datagram, or a copy of it.
    pub(super) fn next(&self, is_peek: bool) -> Option<Datagram> {
        let mut inbox = self.inbox.lock();
        if is_peek {
            return inbox.front().cloned();
        }
        let datagram = inbox.pop_front()?;
        self.charge.fetch_sub(datagram.bytes.len() + OVERHEAD, Ordering::Relaxed);
        self.count.store(inbox.len(), Ordering::SeqCst);
        Some(datagram)
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Bytes of the next datagram.
    pub(super) fn next_len(&self) -> usize {
        self.inbox.lock().front().map_or(0, |datagram| datagram.bytes.len())
    }

    /// Whether nothing more is read once what is there was.
    pub fn is_read_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Read as u8 != 0
    }

    /// Whether nothing more may be sent.
    pub fn is_write_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Write as u8 != 0
    }

    pub(super) fn shut(&self, how: Shutdown) {
        self.shut.fetch_or(how as u8, Ordering::SeqCst);
        self.readable.wake_all();
        self.pollee.notify(IoEvents::all());
    }

    /// Sets the error to report once.
    pub(super) fn set_error(&self, errno: Errno) {
        self.error.store(errno as i32, Ordering::SeqCst);
        self.readable.wake_all();
        self.pollee.notify(IoEvents::ERR);
    }

    /// Whether there is one.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::SeqCst) != 0
    }

    /// The error to report, once.
    pub fn take_error(&self) -> Option<Errno> {
        if self.has_error() { Errno::from_number(self.error.swap(0, Ordering::SeqCst)) } else { None }
    }

    /// What poll(2) tells.
    pub fn events(&self) -> IoEvents {
        let mut events = IoEvents::OUT | IoEvents::WRNORM | IoEvents::WRBAND;
        if self.has_error() || !self.errors.is_empty() {
            events |= IoEvents::ERR;
        }
        if self.is_read_shut() {
            events |= IoEvents::IN | IoEvents::RDNORM | IoEvents::RDHUP;
            if self.is_write_shut() {
                events |= IoEvents::HUP;
            }
        }
        if !self.is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        events
    }

    /// How well a datagram fits: `None`, or the better the more is named by the socket.
    pub fn score(&self, from: SocketAddrV4, to: Ipv4Addr, link: u32) -> Option<u8> {
        let inner = self.inner.lock();
        let (local, peer) = (*inner.local.ip(), inner.peer);
        drop(inner);
        let bound_link = self.ip.lock().link;
        let is_for = (local.is_unspecified() || local == to)
            && peer.is_none_or(|peer| peer == from)
            && (bound_link == 0 || bound_link == link);
        is_for.then(|| {
            u8::from(!local.is_unspecified()) * 4 + u8::from(peer.is_some()) * 2 + u8::from(bound_link != 0)
        })
    }

    /// What tables of sockets tell of it.
    pub fn report(&self) -> Report {
        let inner = self.inner.lock();
        let (local, peer) = (inner.local, inner.peer);
        drop(inner);
        Report {
            local,
            remote: peer.unwrap_or(UNSPECIFIED),
            state: if peer.is_some() { State::Established } else { State::Close },
            receive_queue: self.charge.load(Ordering::Relaxed) as u32,
            send_queue: 0,
            timer: Timer::None,
            timer_ns: 0,
            retransmits: 0,
            link: self.ip.lock().link,
            drops: self.drops.load(Ordering::Relaxed),
            identity: self.options.identity(),
        }
    }
}
