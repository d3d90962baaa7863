//! One end of a connection, or a listener: what the other end, the tables and the timers see of a socket.

use super::listener::Listener;
use super::options::TcpOptions;
use super::queue::ByteQueue;
use super::remote::Remote;
use crate::error::Errno;
use crate::event::{IoEvents, Pollee};
use crate::net::inet::address::UNSPECIFIED;
use crate::net::inet::options::IpOptions;
use crate::net::inet::port::{Binding, Claim, Standing};
use crate::net::ns::NetNs;
use crate::net::report::{Report, State, Timer};
use crate::net::{Options, Shutdown};
use alloc::sync::Arc;
use coffer_abi_types::inet::tcp_info;
use core::net::SocketAddrV4;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};
use ostd::sync::{Mutex, SpinLock, WaitQueue};

/// SO_SNDBUF and SO_RCVBUF as they come (the middle values of /proc/sys/net/ipv4/tcp_{w,r}mem).
const SEND_BUFFER: usize = 16_384;
const RECEIVE_BUFFER: usize = 131_072;
/// What either of them counts for as long as user space has not set it.
const AUTOMATIC: usize = 256 * 1024;

/// Where a socket is in its life, as far as everybody needs to know. Closed as well: a connection that is over on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Closed = 0,
    Listening = 1,
    Connecting = 2,
    Connected = 3,
}

/// What connect(2) knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It may be called.
    Unconnected,
    /// It was, and has not yet told how it ended.
    Connecting,
    /// It has succeeded.
    Connected,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub enum Way {
    /// Nobody.
    None,
    /// Whoever connects.
    Listening(Arc<Listener>),
    /// A listener without room.
    Waiting(Arc<Listener>),
    /// A socket of the same network namespace.
    Local(Arc<Endpoint>),
    /// A peer that is reached by links.
    Remote(Arc<Remote>),
}

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) ns: Arc<NetNs>,
    pub(super) options: Options,
    pub(super) ip: SpinLock<IpOptions>,
    pub(super) tcp: SpinLock<TcpOptions>,
    pub(super) pollee: Pollee,
    /// Who waits to read or to accept.
    pub(super) readable: WaitQueue,
    /// Who waits to write or for the connection.
    pub(super) writable: WaitQueue,
    pub(super) inbox: ByteQueue,
    /// Calls that change what the socket is, one at a time.
    pub(super) control: Mutex<()>,
    /// Reads take their bytes one after the other.
    pub(super) receiving: Mutex<()>,
    /// Writes put theirs one after the other.
    pub(super) sending: Mutex<()>,
    pub(super) inner: SpinLock<Inner>,
    phase: AtomicU8,
    /// Directions that are over, as [`Shutdown`].
    shut: AtomicU8,
    /// The errno to report once; 0 for none.
    error: AtomicI32,
    /// The peer will send no more.
    has_fin: AtomicBool,
    /// Of a connection by links: bytes to read that are not in the inbox, and room to write.
    pub(super) remote_unread: AtomicUsize,
    pub(super) remote_room: AtomicUsize,
    /// A writer or poller found no room: it is told when there is.
    pub(super) is_starved: AtomicBool,
}

/// What changes together.
#[derive(Debug)]
pub struct Inner {
    pub local: SocketAddrV4,
    pub peer: SocketAddrV4,
    pub binding: Option<Binding>,
    /// bind(2) named the address.
    pub has_fixed_address: bool,
    /// bind(2) named the port.
    pub has_fixed_port: bool,
    pub progress: Progress,
    pub way: Way,
    /// Of the two ends, this one ended its direction first: the port waits after it (RFC 9293, 3.6).
    pub is_first_to_end: bool,
    /// The socket is gone.
    pub is_gone: bool,
}

impl Inner {
    /// A port that the kernel chose for the connection goes with it; all go when the socket is gone.
    fn take_loose_binding(&mut self) -> Option<Binding> {
        if self.has_fixed_port && !self.is_gone { None } else { self.binding.take() }
    }
}

impl Endpoint {
    /// Of a new socket.
    pub fn new(ns: Arc<NetNs>) -> Arc<Self> {
        Arc::new(Self::with(ns, IpOptions::new(), TcpOptions::new()))
    }

    /// Of a connection that `listener` accepts.
    pub fn accepted(listener: &Self, local: SocketAddrV4, peer: SocketAddrV4) -> Arc<Self> {
        let (ip, tcp) = (listener.ip.lock().inherited(), listener.tcp.lock().clone());
        let mut new = Self::with(listener.ns.clone(), ip, tcp);
        new.options.inherit(&listener.options);
        let inner = new.inner.get_mut();
        inner.local = local;
        inner.peer = peer;
        inner.binding = listener.inner.lock().binding.as_ref().map(|binding| {
            let claim = *binding.claim();
            binding.share(Claim { standing: Standing::Bound, address: *local.ip(), ..claim })
        });
        inner.progress = Progress::Connected;
        Arc::new(new)
    }

    fn with(ns: Arc<NetNs>, ip: IpOptions, tcp: TcpOptions) -> Self {
        Self {
            ns,
            options: Options::with_buffers(SEND_BUFFER, RECEIVE_BUFFER),
            ip: SpinLock::new(ip),
            tcp: SpinLock::new(tcp),
            pollee: Pollee::new(),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            inbox: ByteQueue::new(),
            control: Mutex::new(()),
            receiving: Mutex::new(()),
            sending: Mutex::new(()),
            inner: SpinLock::new(Inner {
                local: UNSPECIFIED,
                peer: UNSPECIFIED,
                binding: None,
                has_fixed_address: false,
                has_fixed_port: false,
                progress: Progress::Unconnected,
                way: Way::None,
                is_first_to_end: false,
                is_gone: false,
            }),
            phase: AtomicU8::new(Phase::Closed as u8),
            shut: AtomicU8::new(0),
            error: AtomicI32::new(0),
            has_fin: AtomicBool::new(false),
            remote_unread: AtomicUsize::new(0),
            remote_room: AtomicUsize::new(0),
            is_starved: AtomicBool::new(false),
        }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            1 => Phase::Listening,
            2 => Phase::Connecting,
            3 => Phase::Connected,
            _ => Phase::Closed,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Whether nothing more is read once what is there was.
    pub fn is_read_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Read as u8 != 0
    }

    /// Whether nothing more may be sent.
    pub fn is_write_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) & Shutdown::Write as u8 != 0
    }

    fn is_all_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) == Shutdown::Both as u8
    }

    /// Whether the peer will send no more.
    pub fn has_fin(&self) -> bool {
        self.has_fin.load(Ordering::SeqCst)
    }

    /// Ends directions; returns whether that ended writing.
    pub(super) fn shut(&self, how: Shutdown) -> bool {
        let old = self.shut.fetch_or(how as u8, Ordering::SeqCst);
        (how as u8 & !old) & Shutdown::Write as u8 != 0
    }

    /// The peer has sent its last byte.
    pub(super) fn note_fin(&self) {
        self.has_fin.store(true, Ordering::SeqCst);
        self.shut(Shutdown::Read);
    }

    /// Sets the error to report once.
    pub(super) fn set_error(&self, errno: Errno) {
        self.error.store(errno as i32, Ordering::SeqCst);
    }

    /// Whether there is one.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::SeqCst) != 0
    }

    /// The error to report, once.
    pub fn take_error(&self) -> Option<Errno> {
        if self.has_error() { Errno::from_number(self.error.swap(0, Ordering::SeqCst)) } else { None }
    }

    /// Tells everybody that what it is has changed.
    pub(super) fn announce_change(&self) {
        self.readable.wake_all();
        self.writable.wake_all();
        self.pollee.notify(IoEvents::all());
    }

    /// Tells who reads that something has arrived.
    pub(super) fn announce_arrival(&self) {
        self.readable.wake_all();
        self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
    }

    /// Tells who found no room, if anybody did, that there is.
    pub(super) fn announce_room(&self) {
        if self.is_starved.swap(false, Ordering::SeqCst) {
            self.writable.wake_all();
            self.pollee.notify(IoEvents::OUT | IoEvents::WRNORM);
        }
    }

    /// The connection is over in both directions.
    pub(super) fn finish(&self, errno: Option<Errno>) {
        if let Some(errno) = errno {
            self.set_error(errno);
        }
        self.shut(Shutdown::Both);
        self.set_phase(Phase::Closed);
        let mut inner = self.inner.lock();
        let tuple = (inner.local, inner.peer);
        let gone = (core::mem::replace(&mut inner.way, Way::None), inner.take_loose_binding());
        drop(inner);
        self.ns.inet.tcp.forget_connection(tuple, self);
        drop(gone);
        self.announce_change();
    }

    /// A fresh socket again, still bound if bind(2) was called (RFC 793, 3.8: ABORT; connect(2) to AF_UNSPEC). The connection itself was
    /// dealt with.
    pub(super) fn reset_to_fresh(&self) {
        let _receiving = self.receiving.lock();
        self.inbox.reopen();
        let mut inner = self.inner.lock();
        if !inner.has_fixed_address {
            inner.local.set_ip(*UNSPECIFIED.ip());
        }
        let binding = inner.take_loose_binding();
        if binding.is_some() {
            inner.local.set_port(0);
        }
        if let Some(binding) = &mut inner.binding {
            binding.set_standing(Standing::Bound);
        }
        inner.peer = UNSPECIFIED;
        inner.progress = Progress::Unconnected;
        inner.is_first_to_end = false;
        drop(inner);
        drop(binding);
        self.has_fin.store(false, Ordering::SeqCst);
        self.shut.store(0, Ordering::SeqCst);
        self.set_phase(Phase::Closed);
        self.announce_change();
    }

    /// Bytes to read now.
    pub fn unread(&self) -> usize {
        self.inbox.unread() + self.remote_unread.load(Ordering::SeqCst)
    }

    /// Bytes that the two ends of a local connection keep for `reader`.
    pub(super) fn capacity_to(&self, reader: &Self) -> usize {
        self.options.fixed_send_buffer().unwrap_or(AUTOMATIC)
            + reader.options.fixed_receive_buffer().unwrap_or(AUTOMATIC)
    }

    /// Bytes that were sent and have not reached the peer: all that does not fit into the receiving half.
    pub fn unsent(&self) -> usize {
        match &self.inner.lock().way {
            Way::Local(reader) => {
                let received = reader.options.fixed_receive_buffer().unwrap_or(AUTOMATIC);
                reader.inbox.unread().saturating_sub(received)
            }
            Way::Remote(remote) => remote.unsent(),
            _ => 0,
        }
    }

    /// The longest packet that the connection's way takes.
    pub fn mtu(&self) -> u32 {
        match &self.inner.lock().way {
            Way::Remote(remote) => remote.mtu(),
            _ => self.ns.loopback().mtu(),
        }
    }

    /// TCP's own options have changed.
    pub(super) fn options_changed(&self) {
        if let Some(remote) = self.remote() {
            remote.drive(None);
        }
    }

    /// The connection by links.
    pub(super) fn remote(&self) -> Option<Arc<Remote>> {
        match &self.inner.lock().way {
            Way::Remote(remote) => Some(remote.clone()),
            _ => None,
        }
    }

    /// What is known of a connection by links.
    pub(super) fn fill_info(&self, info: &mut tcp_info) {
        if let Some(remote) = self.remote() {
            remote.fill_info(info);
        }
    }

    /// Whether it is worth to wake somebody up to write. If not, it is told when it is.
    fn is_writable(&self) -> bool {
        let has_room = || match &self.inner.lock().way {
            Way::Local(reader) => has_much_room(reader.inbox.unread(), self.capacity_to(reader)),
            Way::Remote(remote) => remote.has_much_room(self.remote_room.load(Ordering::SeqCst)),
            _ => true,
        };
        if has_room() {
            return true;
        }
        self.is_starved.store(true, Ordering::SeqCst);
        has_room()
    }

    /// What poll(2) tells, as Linux has it: see tcp(7) and the cases in tests/abi/inet.
    pub fn events(&self) -> IoEvents {
        let phase = self.phase();
        let mut events = IoEvents::empty();
        if phase == Phase::Listening {
            let has_connection =
                matches!(&self.inner.lock().way, Way::Listening(listener) if !listener.is_empty());
            return if has_connection { IoEvents::IN | IoEvents::RDNORM } else { events };
        }
        if phase == Phase::Closed || self.is_all_shut() {
            events |= IoEvents::HUP;
        }
        if self.is_read_shut() {
            events |= IoEvents::IN | IoEvents::RDNORM | IoEvents::RDHUP;
        }
        if phase != Phase::Connecting {
            // No more than what fits can be waited for.
            let low = self.options.receive_low().min(self.options.receive_buffer() / 2);
            if self.unread() >= low.max(1) {
                events |= IoEvents::IN | IoEvents::RDNORM;
            }
            if self.is_write_shut() || self.is_writable() {
                events |= IoEvents::OUT | IoEvents::WRNORM;
            }
        }
        if self.has_error() {
            events |= IoEvents::ERR;
        }
        events
    }

    /// What tables of sockets tell of it.
    pub fn report(&self) -> Report {
        let inner = self.inner.lock();
        let (local, remote) = (inner.local, inner.peer);
        let queues = match &inner.way {
            Way::Listening(listener) => (listener.len(), listener.max()),
            _ => (self.unread(), 0),
        };
        drop(inner);
        let ends = (self.is_write_shut(), self.has_fin());
        let state = match (self.phase(), ends) {
            (Phase::Closed, _) => State::Close,
            (Phase::Listening, _) => State::Listen,
            (Phase::Connecting, _) => State::SynSent,
            (Phase::Connected, (false, false)) => State::Established,
            (Phase::Connected, (false, true)) => State::CloseWait,
            (Phase::Connected, (true, false)) => State::FinWait2,
            (Phase::Connected, (true, true)) => State::LastAck,
        };
        Report {
            local,
            remote,
            state,
            receive_queue: queues.0 as u32,
            send_queue: queues.1 as u32,
            timer: Timer::None,
            timer_ns: 0,
            retransmits: 0,
            link: self.ip.lock().link,
            drops: 0,
            identity: self.options.identity(),
        }
    }
}

/// Whether at least a third is free: waking a writer for less costs more than it brings.
pub fn has_much_room(used: usize, capacity: usize) -> bool {
    used <= capacity - capacity / 3
}
