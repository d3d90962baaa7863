//! A connection by links: smoltcp's TCP, with an interface of its own for each connection, so that nothing is shared between them.
//!
//! [`Remote::drive`] is the only way in: it takes a packet or none, lets smoltcp act under the connection's lock, and, after letting go of it,
//! sends what came of that, sets the alarm for when to act again, and tells the [`Endpoint`] what has changed.

use super::device::Queues;
use super::endpoint::{Endpoint, Phase, Way};
use super::input::Tuple;
use super::listener::{Listener, Origin};
use super::queue::ByteQueue;
use super::socket::TcpSocket;
use crate::error::{Errno, Error, Result};
use crate::net::inet::bind;
use crate::net::ip::Route;
use crate::net::packet::Packet;
use crate::random;
use crate::time::alarm::{Alarm, Expire};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::inet::tcp_info;
use coffer_abi_types::net::SO_KEEPALIVE;
use core::fmt;
use core::net::SocketAddrV4;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use ostd::timer::now_ns;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};

/// Bytes of each of the two buffers, as long as there is plenty of memory.
const BUFFER: usize = 128 * 1024;
/// And when there is not.
const SMALL_BUFFER: usize = 16 * 1024;
/// How long a connection goes on without an answer (Linux: tcp_retries2 of 15).
const RETRY_NS: u64 = 924_600_000_000;
/// The same for one whose socket is gone (Linux: tcp_orphan_retries of 8).
const ORPHAN_RETRY_NS: u64 = 102_200_000_000;
/// How long one whose socket is gone waits for the peer's end (tcp_fin_timeout).
const ORPHAN_WAIT_NS: u64 = 60_000_000_000;
/// How long less than a segment is held back (tcp(7), TCP_CORK).
const CORK_NS: u64 = 200_000_000;
/// How long an acknowledgement waits for an answer to go with, or for more than a segment (RFC 9293, 3.8.6.3): short, because a sender
/// whose window ends with an odd segment does nothing meanwhile.
const QUICK_ACK_NS: u64 = 1_000_000;
/// The same where TCP_QUICKACK was turned off (tcp(7)).
const SLOW_ACK_NS: u64 = 40_000_000;
/// The part of the receive buffer that must have been read for the peer to be told at once.
const WINDOW_STEP: usize = 4;
/// What a segment's headers take of a packet.
const HEADERS: usize = 40;

/// Bytes in the buffers of all connections.
static MEMORY: AtomicUsize = AtomicUsize::new(0);

/// See the module.
pub struct Remote {
    endpoint: Arc<Endpoint>,
    tuple: Tuple,
    alarm: Alarm,
    core: SpinLock<Core>,
    /// The listener that has a place for it, until it is connected.
    parent: SpinLock<Option<(Arc<Endpoint>, Arc<Listener>)>>,
    charged: usize,
}

struct Core {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    queues: Queues,
    /// The way there, and the generation of the namespace that it is good for.
    route: (u64, Route),
    state: tcp::State,
    heard_ns: u64,
    /// When it ends, whatever happens: after its socket has gone.
    ends_ns: Option<u64>,
    is_orphan: bool,
    /// Less than a segment is held back until then.
    corked_until_ns: Option<u64>,
    /// Bytes that came since the last segment was sent, and when they are to be acknowledged at the latest.
    unacknowledged: usize,
    acknowledge_ns: Option<u64>,
    /// When the alarm is to ring.
    wake_ns: Option<u64>,
    /// Bytes that were read since then: the window has grown by as much.
    unshown: usize,
    bytes_sent: u64,
    bytes_received: u64,
}

/// What smoltcp did.
struct Outcome {
    old: tcp::State,
    new: tcp::State,
    was_reset: bool,
    unread: usize,
    room: usize,
    outgoing: Vec<Packet>,
    route: Route,
    wake_ns: Option<u64>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({} to {})", self.tuple.0, self.tuple.1)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        MEMORY.fetch_sub(self.charged, Ordering::Relaxed);
    }
}

impl Expire for Remote {
    fn expire(&self) {
        self.drive(None);
    }
}

/// Sets out to connect `endpoint`, whose addresses are `tuple`, along `route`.
///
/// # Errors
/// ENOBUFS.
pub fn connect(endpoint: &Arc<Endpoint>, tuple: Tuple, route: Route) -> Result<()> {
    let remote = Remote::new(endpoint, tuple, route, None)?;
    let started = {
        let mut core = remote.core.lock();
        let Core { interface, sockets, handle, .. } = &mut *core;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        socket.connect(interface.context(), ip_endpoint(tuple.1), ip_endpoint(tuple.0))
    };
    started.map_err(|_| Error::new(Errno::EADDRNOTAVAIL))?;
    endpoint.inner.lock().way = Way::Remote(remote.clone());
    remote.drive(None);
    Ok(())
}

/// Answers a SYN for a listener that has a place for it.
///
/// # Errors
/// ENOBUFS.
pub fn answer(
    listening: &Arc<Endpoint>,
    listener: &Arc<Listener>,
    tuple: Tuple,
    route: Route,
    packet: Packet,
) -> Result<()> {
    let endpoint = Endpoint::accepted(listening, tuple.0, tuple.1);
    let parent = Some((listening.clone(), listener.clone()));
    let remote = Remote::new(&endpoint, tuple, route, parent)?;
    let is_listening = {
        let mut core = remote.core.lock();
        let Core { sockets, handle, state, .. } = &mut *core;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        *state = tcp::State::SynReceived;
        socket.listen(ip_endpoint(tuple.0))
    };
    let is_new = is_listening.is_ok() && endpoint.ns.inet.tcp.add_connection(tuple, &endpoint);
    if !is_new {
        return Err(Errno::EADDRINUSE.into());
    }
    endpoint.set_phase(Phase::Connecting);
    endpoint.inner.lock().way = Way::Remote(remote.clone());
    listener.note_half_open(&endpoint);
    remote.drive(Some(packet));
    Ok(())
}

impl Remote {
    fn new(
        endpoint: &Arc<Endpoint>,
        tuple: Tuple,
        route: Route,
        parent: Option<(Arc<Endpoint>, Arc<Listener>)>,
    ) -> Result<Arc<Self>> {
        let (receive, send) = buffer_sizes(endpoint)?;
        let buffers = (buffer(receive)?, buffer(send)?);
        MEMORY.fetch_add(receive + send, Ordering::Relaxed);
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(buffers.0), tcp::SocketBuffer::new(buffers.1));
        socket.set_congestion_control(tcp::CongestionControl::Reno);
        // When to acknowledge is decided in `Core::act`.
        socket.set_ack_delay(None);
        let ip = endpoint.ip.lock();
        socket.set_hop_limit(Some(ip.ttl_to(*tuple.1.ip())));
        let tos = ip.tos;
        drop(ip);
        let max_segment = endpoint.tcp.lock().max_segment;
        let mut queues = Queues { incoming: None, outgoing: Vec::new(), mtu: mtu(&route, max_segment), tos };
        let interface = interface(&mut queues, tuple.0);
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let core = Core {
            interface,
            sockets,
            handle,
            queues,
            route: (endpoint.ns.generation(), route),
            state: tcp::State::SynSent,
            heard_ns: now_ns(),
            ends_ns: None,
            is_orphan: false,
            corked_until_ns: None,
            unacknowledged: 0,
            acknowledge_ns: None,
            wake_ns: None,
            unshown: 0,
            bytes_sent: 0,
            bytes_received: 0,
        };
        Ok(Arc::new_cyclic(|this: &Weak<Self>| Self {
            endpoint: endpoint.clone(),
            tuple,
            alarm: Alarm::new(this.clone()),
            core: SpinLock::new(core),
            parent: SpinLock::new(parent),
            charged: receive + send,
        }))
    }

    /// Lets the connection act, on a packet or on the time.
    pub fn drive(&self, packet: Option<Packet>) {
        let mut core = self.core.lock();
        let outcome = core.act(&self.endpoint, packet);
        // With the lock held, for whoever acts on another CPU right after must have the last word: an older alarm would cancel the one
        // that sends again what is lost, and an older count would hide what has just arrived.
        match outcome.wake_ns {
            Some(wake_ns) => self.alarm.arm(wake_ns),
            None => self.alarm.cancel(),
        }
        self.endpoint.remote_room.store(outcome.room, Ordering::SeqCst);
        let old_unread = self.endpoint.remote_unread.swap(outcome.unread, Ordering::SeqCst);
        drop(core);
        for packet in outcome.outgoing {
            // A packet that cannot be sent now is as good as lost on the way: it will be sent again.
            let _ = self.endpoint.ns.send_ip(&outcome.route, packet);
        }
        if outcome.unread > old_unread {
            self.endpoint.announce_arrival();
        }
        if self.endpoint.is_starved.load(Ordering::SeqCst) && self.has_much_room(outcome.room) {
            self.endpoint.announce_room();
        }
        self.follow(outcome.old, outcome.new, outcome.was_reset);
    }

    /// Whether enough of the buffer is free to wake a writer.
    pub fn has_much_room(&self, room: usize) -> bool {
        room >= self.charged / 2 / 3
    }

    /// Tells the endpoint of a change of state.
    fn follow(&self, old: tcp::State, new: tcp::State, was_reset: bool) {
        use tcp::State::{CloseWait, Closed, Closing, LastAck, Listen, SynReceived, SynSent, TimeWait};
        if old == new {
            return;
        }
        let endpoint = &self.endpoint;
        if matches!(old, SynSent | SynReceived) && !matches!(new, SynSent | SynReceived | Closed | Listen) {
            self.on_connected();
        }
        if matches!(new, CloseWait | Closing | LastAck | TimeWait) && !endpoint.has_fin() {
            endpoint.note_fin();
            endpoint.announce_change();
        }
        match new {
            TimeWait => {
                self.leave_waiting();
                self.finish(None);
            }
            Closed | Listen => {
                let errno = match old {
                    SynReceived | Listen => None,
                    LastAck | TimeWait => None,
                    SynSent if was_reset => Some(Errno::ECONNREFUSED),
                    _ if was_reset && endpoint.has_fin() => Some(Errno::EPIPE),
                    _ if was_reset => Some(Errno::ECONNRESET),
                    _ => Some(Errno::ETIMEDOUT),
                };
                self.finish(errno);
            }
            // Who lingers waits for the end to be acknowledged.
            _ => drop(endpoint.writable.wake_all()),
        }
    }

    fn on_connected(&self) {
        let endpoint = &self.endpoint;
        endpoint.set_phase(Phase::Connected);
        let parent = self.parent.lock().take();
        match parent {
            None => endpoint.announce_change(),
            Some((listening, listener)) => {
                let connection = TcpSocket::accepted(endpoint.clone());
                // One that comes back is reset, as it is dropped.
                if listener.fill(Origin::Remote, Some(connection)).is_ok() {
                    listening.announce_arrival();
                }
            }
        }
    }

    /// The connection is no more; what was received can still be read.
    fn finish(&self, errno: Option<Errno>) {
        let parent = self.parent.lock().take();
        if let Some((_, listener)) = parent {
            let _ = listener.fill(Origin::Remote, None);
        }
        self.alarm.cancel();
        self.take(usize::MAX, &self.endpoint.inbox);
        self.endpoint.remote_unread.store(0, Ordering::SeqCst);
        self.endpoint.finish(errno);
    }

    /// The port waits, as this end was the first to end its direction.
    fn leave_waiting(&self) {
        let share =
            self.endpoint.inner.lock().binding.as_ref().map(|binding| binding.share(*binding.claim()));
        if let Some(share) = share {
            self.endpoint.ns.inet.tcp.wait(self.tuple, share);
        }
    }

    /// Puts bytes into the send buffer; returns how many fit.
    pub fn write(&self, bytes: &[u8], holds_back: bool) -> usize {
        let mut core = self.core.lock();
        let Core { sockets, handle, .. } = &mut *core;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        let taken = socket.send_slice(bytes).unwrap_or(0);
        let (queued, room) = (socket.send_queue(), socket.send_capacity() - socket.send_queue());
        core.bytes_sent += taken as u64;
        let is_held = holds_back && queued < core.queues.mtu - HEADERS;
        core.corked_until_ns = is_held.then(|| core.corked_until_ns.unwrap_or(now_ns() + CORK_NS));
        if let Some(until_ns) = core.corked_until_ns {
            self.endpoint.remote_room.store(room, Ordering::SeqCst);
            // What else there is to do in time, as an acknowledgement, is not put off.
            core.wake_ns = core.wake_ns.into_iter().chain([until_ns]).min();
            self.alarm.arm(core.wake_ns.unwrap_or(until_ns));
        } else {
            drop(core);
            self.drive(None);
        }
        taken
    }

    /// Moves up to `want` received bytes to `inbox`; returns whether there were any.
    pub fn take(&self, want: usize, inbox: &ByteQueue) -> bool {
        let mut core = self.core.lock();
        let Core { sockets, handle, .. } = &mut *core;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        let len = socket.recv_queue().min(want);
        let mut bytes = Vec::new();
        if len == 0 || bytes.try_reserve_exact(len).is_err() {
            return false;
        }
        // The buffer is a ring: what is in it lies in one or two pieces.
        while bytes.len() < len {
            let left = len - bytes.len();
            let received = socket.recv(|piece| {
                let piece = &piece[..piece.len().min(left)];
                bytes.extend_from_slice(piece);
                (piece.len(), piece.len())
            });
            if !received.is_ok_and(|received| received > 0) {
                break;
            }
        }
        let unread = socket.recv_queue();
        core.bytes_received += bytes.len() as u64;
        core.unshown += bytes.len();
        // Both counts change under the lock, so that nobody sees the bytes nowhere.
        inbox.push(bytes);
        self.endpoint.remote_unread.store(unread, Ordering::SeqCst);
        true
    }

    /// Tells the peer, which may be waiting for it, if much of the buffer has become free.
    pub fn show_window(&self) {
        let core = self.core.lock();
        let capacity = core.sockets.get::<tcp::Socket<'_>>(core.handle).recv_capacity();
        let is_much = core.unshown >= capacity / WINDOW_STEP;
        drop(core);
        if is_much {
            self.drive(None);
        }
    }

    /// Ends this end's direction, after what was written.
    pub fn end_direction(&self) {
        let mut core = self.core.lock();
        let Core { sockets, handle, .. } = &mut *core;
        sockets.get_mut::<tcp::Socket<'_>>(*handle).close();
        core.corked_until_ns = None;
        drop(core);
        self.drive(None);
    }

    /// Ends the connection at once.
    pub fn reset(&self) {
        let mut core = self.core.lock();
        let Core { sockets, handle, state, .. } = &mut *core;
        sockets.get_mut::<tcp::Socket<'_>>(*handle).abort();
        // So that nobody is told: it is this end that has left.
        *state = tcp::State::Closed;
        drop(core);
        self.drive(None);
        self.finish(None);
    }

    /// The socket is gone: the connection ends without it.
    pub fn orphan(&self) {
        let mut core = self.core.lock();
        core.is_orphan = true;
        core.ends_ns = None;
        drop(core);
        self.end_direction();
    }

    /// Whether all that was sent, and the end after it, was acknowledged.
    pub fn is_all_acknowledged(&self) -> bool {
        let core = self.core.lock();
        let socket = core.sockets.get::<tcp::Socket<'_>>(core.handle);
        socket.send_queue() == 0
            && !matches!(socket.state(), tcp::State::FinWait1 | tcp::State::LastAck | tcp::State::Closing)
    }

    /// Bytes that were sent and not acknowledged.
    pub fn unsent(&self) -> usize {
        let core = self.core.lock();
        core.sockets.get::<tcp::Socket<'_>>(core.handle).send_queue()
    }

    /// The longest packet that the way takes.
    pub fn mtu(&self) -> u32 {
        self.core.lock().queues.mtu as u32
    }

    /// What is known beside what every connection tells.
    pub fn fill_info(&self, info: &mut tcp_info) {
        let core = self.core.lock();
        let socket = core.sockets.get::<tcp::Socket<'_>>(core.handle);
        let queued = socket.send_queue() as u64;
        info.tcpi_notsent_bytes = queued as u32;
        info.tcpi_bytes_sent = core.bytes_sent;
        info.tcpi_bytes_acked = core.bytes_sent.saturating_sub(queued);
        info.tcpi_bytes_received = core.bytes_received + socket.recv_queue() as u64;
        info.tcpi_last_data_recv = (now_ns().saturating_sub(core.heard_ns) / 1_000_000) as u32;
        info.tcpi_last_ack_recv = info.tcpi_last_data_recv;
        info.tcpi_rcv_space = socket.recv_capacity() as u32;
    }

    /// The network says that packets must be shorter (RFC 1191).
    pub fn shorten(&self, mtu: usize) {
        let mut core = self.core.lock();
        let Core { interface: old, queues, .. } = &mut *core;
        // RFC 791: every network takes this much.
        let mtu = mtu.max(576);
        if mtu >= queues.mtu {
            return;
        }
        queues.mtu = mtu;
        *old = interface(queues, self.tuple.0);
        drop(core);
        self.drive(None);
    }

    /// The network says that the peer cannot be reached.
    pub fn on_unreachable(&self, errno: Errno) {
        // Of a connection that stands, it may be passing (RFC 1122, 4.2.3.9).
        if self.core.lock().state == tcp::State::SynSent {
            self.finish(Some(errno));
        }
    }
}

impl Core {
    fn act(&mut self, endpoint: &Endpoint, packet: Option<Packet>) -> Outcome {
        let now_ns = now_ns();
        let now = Instant::from_micros((now_ns / 1000).cast_signed());
        let was_reset = packet.as_ref().is_some_and(is_reset);
        if packet.is_some() {
            self.heard_ns = now_ns;
        }
        if self.corked_until_ns.is_some_and(|until_ns| until_ns <= now_ns) {
            self.corked_until_ns = None;
        }
        self.apply_options(endpoint, now_ns);
        if !self.take_in(endpoint, packet, now_ns) {
            self.interface.poll(now, &mut self.queues, &mut self.sockets);
            self.unacknowledged = 0;
            self.acknowledge_ns = None;
            self.unshown = 0;
        }
        let Self { interface, sockets, queues, handle, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        // Nobody will read it: whoever sends to a socket that is gone is told so (RFC 2525, 2.17).
        let is_over = self.ends_ns.is_some_and(|ends_ns| ends_ns <= now_ns);
        if self.is_orphan && (socket.recv_queue() > 0 || is_over) {
            socket.abort();
            interface.poll(now, queues, sockets);
        }
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
        let new = socket.state();
        let old = core::mem::replace(&mut self.state, new);
        if self.is_orphan && new == tcp::State::FinWait2 && self.ends_ns.is_none() {
            self.ends_ns = Some(now_ns + ORPHAN_WAIT_NS);
        }
        let (unread, room) = (socket.recv_queue(), socket.send_capacity() - socket.send_queue());
        let poll_ns = interface.poll_at(now, sockets).map(|at| at.total_micros().cast_unsigned() * 1000);
        // A time that has come already: in a moment, or an alarm would starve everybody else.
        let poll_ns = poll_ns.map(|at_ns| at_ns.max(now_ns + 1_000_000));
        // What waits is what smoltcp would send now.
        let poll_ns = self.acknowledge_ns.or(poll_ns);
        let wake_ns = [poll_ns, self.ends_ns, self.corked_until_ns].into_iter().flatten().min();
        self.wake_ns = wake_ns;
        let generation = endpoint.ns.generation();
        if self.route.0 != generation {
            self.renew_route(endpoint, generation);
        }
        Outcome {
            old,
            new,
            was_reset,
            unread,
            room,
            outgoing: core::mem::take(&mut self.queues.outgoing),
            route: self.route.1.clone(),
            wake_ns: wake_ns.filter(|_| new != tcp::State::Closed),
        }
    }

    /// Takes a packet in; returns whether the acknowledgement may wait, and there is nothing else to send.
    fn take_in(&mut self, endpoint: &Endpoint, packet: Option<Packet>, now_ns: u64) -> bool {
        if packet.is_none() {
            return false;
        }
        let now = Instant::from_micros((now_ns / 1000).cast_signed());
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.handle);
        let (old_state, unread) = (socket.state(), socket.recv_queue());
        self.queues.incoming = packet;
        self.interface.poll_ingress_single(now, &mut self.queues, &mut self.sockets);
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.handle);
        let arrived = socket.recv_queue().saturating_sub(unread);
        self.unacknowledged += arrived;
        let may_wait = arrived > 0
            && [old_state, socket.state()] == [tcp::State::Established; 2]
            && socket.send_queue() == 0
            && self.unacknowledged <= self.queues.mtu - HEADERS;
        if may_wait && self.acknowledge_ns.is_none() {
            let delay_ns = if endpoint.tcp.lock().quick_ack { QUICK_ACK_NS } else { SLOW_ACK_NS };
            self.acknowledge_ns = Some(now_ns + delay_ns);
        }
        may_wait
    }

    /// Tells smoltcp what the options say now. Its time-out runs even while there is nothing to wait for, so it has one only while there is.
    fn apply_options(&mut self, endpoint: &Endpoint, now_ns: u64) {
        let options = endpoint.tcp.lock().clone();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        socket.set_nagle_enabled(!options.no_delay || options.is_corked);
        let is_kept_alive = endpoint.options.is_on(SO_KEEPALIVE);
        let idle_ns = u64::from(options.keep_idle) * 1_000_000_000;
        let interval_ns = u64::from(options.keep_interval) * 1_000_000_000;
        let keep_alive = is_kept_alive.then(|| {
            let is_idle = now_ns.saturating_sub(self.heard_ns) >= idle_ns;
            Duration::from_micros(if is_idle { interval_ns } else { idle_ns } / 1000)
        });
        if socket.keep_alive() != keep_alive {
            socket.set_keep_alive(keep_alive);
        }
        let user_ns = u64::from(options.user_timeout_ms) * 1_000_000;
        let is_waiting = socket.send_queue() > 0
            || matches!(socket.state(), tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck);
        let timeout_ns = match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                let doublings = options.syn_count.min(6) + 1;
                Some(if user_ns > 0 { user_ns } else { ((1 << doublings) - 1) * 1_000_000_000 })
            }
            _ if is_waiting && user_ns > 0 => Some(user_ns),
            _ if is_waiting && self.is_orphan => Some(ORPHAN_RETRY_NS),
            _ if is_waiting => Some(RETRY_NS),
            _ if is_kept_alive => Some(idle_ns + interval_ns * u64::from(options.keep_count)),
            _ => None,
        };
        socket.set_timeout(timeout_ns.map(|ns| Duration::from_micros(ns / 1000)));
    }

    fn renew_route(&mut self, endpoint: &Endpoint, generation: u64) {
        let inner = endpoint.inner.lock();
        let (local, peer) = (*inner.local.ip(), *inner.peer.ip());
        drop(inner);
        let link = endpoint.ip.lock().link;
        // Without a route, the old one drops packets until there is one.
        if let Ok(route) = bind::route(&endpoint.ns, peer, local, link) {
            self.route.1 = route;
        }
        self.route.0 = generation;
    }
}

/// An interface for one connection, with its address on it.
fn interface(queues: &mut Queues, local: SocketAddrV4) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    let mut seed = [0; 8];
    // The initial sequence number comes of it (RFC 9293, 3.4.1).
    random::fill(&mut seed);
    config.random_seed = u64::from_ne_bytes(seed);
    let now = Instant::from_micros((now_ns() / 1000).cast_signed());
    let mut interface = Interface::new(config, queues, now);
    interface.update_ip_addrs(|addresses| {
        let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(*local.ip()), 32));
    });
    // The peer is "by a gateway": what there is to know of the way, the namespace knows.
    let _ = interface.routes_mut().add_default_ipv4_route(*local.ip());
    interface
}

fn ip_endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

fn mtu(route: &Route, max_segment: u16) -> usize {
    let mtu = (route.mtu as usize).clamp(576, usize::from(u16::MAX));
    if max_segment == 0 { mtu } else { mtu.min(usize::from(max_segment) + HEADERS) }
}

/// Bytes to receive into and to send from.
fn buffer_sizes(endpoint: &Endpoint) -> Result<(usize, usize)> {
    let total = ostd::mm::stats().total * ostd::mm::PAGE_SIZE;
    let used = MEMORY.load(Ordering::Relaxed);
    if used >= total / 8 || ostd::mm::is_exhausted() {
        return Err(Error::with(Errno::ENOBUFS, "the connections' buffers take their share of the memory"));
    }
    let automatic = if used >= total / 32 { SMALL_BUFFER } else { BUFFER };
    let size = |fixed: Option<usize>| fixed.unwrap_or(automatic).min(automatic.max(SMALL_BUFFER));
    Ok((size(endpoint.options.fixed_receive_buffer()), size(endpoint.options.fixed_send_buffer())))
}

fn buffer(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOBUFS))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn is_reset(packet: &Packet) -> bool {
    // RST is a bit of the fourteenth byte (RFC 9293, 3.1).
    packet.transport().get(13).is_some_and(|flags| flags & 4 != 0)
}
