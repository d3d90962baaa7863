//! The socket itself.

use super::queue::{Arrived, Queue};
use super::{Flavour, IPPROTO_RAW, send};
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::inet::errors::{ErrorReport, Errors, copy_datagram, meaning};
use crate::net::inet::options::IpOptions;
use crate::net::inet::{address, bind};
use crate::net::ip::protocol::IcmpError;
use crate::net::message::{ControlMessage, Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::ns::NetNs;
use crate::net::options::{OptionValue, int};
use crate::net::packet::Packet;
use crate::net::report::{Report, State, Timer};
use crate::net::socket::interrupted;
use crate::net::{Kind, Options, Shutdown, Socket};
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::inet::{AF_INET, IP_PKTINFO, IP_TTL, IPPROTO_ICMP, IPPROTO_IP, in_pktinfo};
use coffer_abi_types::net::{AF_UNSPEC, MSG_ERRQUEUE, MSG_OOB, MSG_PEEK};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use ostd::sync::SpinLock;
use smoltcp::wire::{Icmpv4Packet, Ipv4Packet};
use zerocopy::IntoBytes;

/// raw(7): options of ICMP.
const SOL_RAW: u32 = 255;
const ICMP_FILTER: u32 = 1;
/// Whether headers come with what is sent.
const IP_HDRINCL: u32 = 3;
/// The types that ICMP_FILTER can name.
const FILTERED_TYPES: u8 = 32;

/// A socket.
#[derive(Debug)]
pub struct RawSocket {
    ns: Arc<NetNs>,
    flavour: Flavour,
    options: Options,
    ip: SpinLock<IpOptions>,
    pollee: Pollee,
    queue: Queue,
    /// Its address; unspecified: any.
    local: SpinLock<Ipv4Addr>,
    peer: SpinLock<Option<Ipv4Addr>>,
    /// Of a ping socket; 0: none yet.
    identifier: AtomicU16,
    has_own_headers: AtomicBool,
    /// Types of ICMP messages that are not wanted, as bits.
    filter: AtomicU32,
    /// IP_RECVERR.
    errors: Errors,
    /// What to report once.
    error: SpinLock<Option<Errno>>,
}

impl RawSocket {
    /// Neither bound nor connected.
    pub fn new(ns: Arc<NetNs>, flavour: Flavour) -> Arc<Self> {
        let socket = Arc::new(Self {
            ns,
            flavour,
            options: Options::new(),
            ip: SpinLock::new(IpOptions::new()),
            pollee: Pollee::new(),
            queue: Queue::default(),
            local: SpinLock::new(Ipv4Addr::UNSPECIFIED),
            peer: SpinLock::new(None),
            identifier: AtomicU16::new(0),
            has_own_headers: AtomicBool::new(flavour == Flavour::Raw(IPPROTO_RAW)),
            filter: AtomicU32::new(0),
            errors: Errors::new(),
            error: SpinLock::new(None),
        });
        socket.ns.inet.raw.add(&socket);
        socket
    }

    /// What it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    pub(super) fn ns(&self) -> &Arc<NetNs> {
        &self.ns
    }

    pub(super) fn local(&self) -> Ipv4Addr {
        *self.local.lock()
    }

    pub(super) fn peer(&self) -> Option<Ipv4Addr> {
        *self.peer.lock()
    }

    pub(super) fn ip_options(&self) -> IpOptions {
        self.ip.lock().clone()
    }

    pub(super) fn is_broadcaster(&self, option: u32) -> bool {
        self.options.is_on(option)
    }

    pub(super) fn has_own_headers(&self) -> bool {
        self.has_own_headers.load(Ordering::Relaxed)
    }

    pub(super) fn identifier(&self) -> u16 {
        self.identifier.load(Ordering::SeqCst)
    }

    pub(super) fn set_identifier(&self, identifier: u16) {
        self.identifier.store(identifier, Ordering::SeqCst);
    }

    /// Its identifier, or a new one.
    ///
    /// # Errors
    /// EADDRINUSE if there is none left.
    pub(super) fn ensure_identifier(&self) -> Result<u16> {
        match self.identifier() {
            0 => self.ns.inet.raw.identify(self, 0),
            identifier => Ok(identifier),
        }
    }

    /// Takes a copy of a packet if it is for this socket; whether it was.
    pub(super) fn take(&self, packet: &Packet) -> bool {
        let ip = packet.ip();
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        let link = packet.link.as_ref().map_or(0, |link| link.index());
        let local = self.local();
        let bound_link = self.ip.lock().link;
        let is_for_it = (local.is_unspecified() || local == to)
            && self.peer().is_none_or(|peer| peer == from)
            && (bound_link == 0 || bound_link == link);
        if !is_for_it {
            return false;
        }
        let bytes = match self.flavour {
            Flavour::Raw(_) => {
                let kind = packet.transport().first().copied().unwrap_or_default();
                let filter = self.filter.load(Ordering::Relaxed);
                if filter != 0 && kind < FILTERED_TYPES && filter & 1 << kind != 0 {
                    return true;
                }
                packet.bytes()
            }
            Flavour::Ping => {
                let reply = Icmpv4Packet::new_unchecked(packet.transport());
                if self.identifier() == 0 || reply.echo_ident() != self.identifier() {
                    return false;
                }
                packet.transport()
            }
        };
        let mut copy = Vec::new();
        if copy.try_reserve_exact(bytes.len()).is_err() {
            return true;
        }
        copy.extend_from_slice(bytes);
        let arrived = Arrived { bytes: copy, from, to, link, ttl: ip.hop_limit() };
        if self.queue.push(arrived, self.options.receive_buffer()) {
            self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        }
        true
    }

    /// What tables tell of it.
    pub fn report(&self) -> Report {
        let protocol = u16::try_from(self.protocol()).unwrap_or_default();
        let peer = self.peer();
        Report {
            local: SocketAddrV4::new(self.local(), protocol),
            remote: SocketAddrV4::new(peer.unwrap_or(Ipv4Addr::UNSPECIFIED), 0),
            state: if peer.is_some() { State::Established } else { State::Close },
            receive_queue: u32::try_from(self.queue.charge()).unwrap_or(u32::MAX),
            send_queue: 0,
            timer: Timer::None,
            timer_ns: 0,
            retransmits: 0,
            link: self.ip.lock().link,
            drops: self.queue.drops(),
            identity: self.options.identity(),
        }
    }

    fn has_error(&self) -> bool {
        self.error.lock().is_some()
    }

    /// Hears of an ICMP error about a packet, if it is this socket's. `ip` is the packet's header, `rest` what is known of what comes after it.
    pub(super) fn hear(&self, error: &IcmpError<'_>, ip: &Ipv4Packet<&[u8]>, rest: &[u8]) {
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        let (local, peer) = (self.local(), self.peer());
        let is_its_own = (local.is_unspecified() || local == from)
            && peer.is_none_or(|peer| peer == to)
            && match self.flavour {
                Flavour::Raw(protocol) => protocol == u8::from(ip.next_header()),
                Flavour::Ping => send::identifier_of(ip.next_header(), rest) == Some(self.identifier()),
            };
        let Some((errno, is_hard)) = meaning(error).filter(|_| is_its_own) else { return };
        let wants_errors = self.ip.lock().wants_errors;
        if wants_errors {
            let bytes = if self.has_own_headers() { error.quoted } else { rest };
            self.errors.push(ErrorReport::of(error, errno, SocketAddrV4::new(to, 0), bytes));
        }
        if wants_errors || is_hard && peer.is_some() {
            *self.error.lock() = Some(errno);
            self.pollee.notify(IoEvents::ERR);
        }
    }

    fn control(&self, arrived: &Arrived) -> Vec<ControlMessage> {
        let ip = self.ip.lock();
        let (wants_ttl, wants_packet_info) = (ip.wants_ttl, ip.wants_packet_info);
        drop(ip);
        let mut control = Vec::new();
        let mut add = |kind: u32, bytes: &[u8]| {
            control.push(ControlMessage {
                level: IPPROTO_IP,
                kind: kind.cast_signed(),
                bytes: Vec::from(bytes),
            });
        };
        if wants_packet_info {
            let info = in_pktinfo {
                ipi_ifindex: arrived.link,
                ipi_spec_dst: arrived.to.octets(),
                ipi_addr: arrived.to.octets(),
            };
            add(IP_PKTINFO, info.as_bytes());
        }
        if wants_ttl {
            add(IP_TTL, i32::from(arrived.ttl).as_bytes());
        }
        control
    }
}

impl Socket for RawSocket {
    fn family(&self) -> u16 {
        AF_INET
    }

    fn kind(&self) -> Kind {
        match self.flavour {
            Flavour::Raw(_) => Kind::Raw,
            Flavour::Ping => Kind::Datagram,
        }
    }

    fn protocol(&self) -> u32 {
        match self.flavour {
            Flavour::Raw(protocol) => protocol.into(),
            Flavour::Ping => IPPROTO_ICMP,
        }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, address: &[u8], thread: &Thread) -> Result<()> {
        let address = address::parse_for_bind(address)?;
        // A ping socket's port is its identifier, and needs no capability.
        let of_host = SocketAddrV4::new(*address.ip(), 0);
        bind::check(&self.ns, &self.ip_options(), of_host, thread.process())?;
        if self.flavour == Flavour::Ping {
            if self.identifier() != 0 {
                return Err(Errno::EINVAL.into());
            }
            self.ns.inet.raw.identify(self, address.port())?;
        }
        *self.local.lock() = *address.ip();
        Ok(())
    }

    fn listen(&self, _backlog: usize, _thread: &Thread) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn connect(&self, address: &[u8], _is_nonblocking: bool, _thread: &Thread) -> Result<()> {
        if address::family(address)? == AF_UNSPEC {
            *self.peer.lock() = None;
            return Ok(());
        }
        let to = address::parse(address)?;
        let link = self.ip.lock().link;
        let route = bind::route(&self.ns, *to.ip(), self.local(), link)?;
        if self.flavour == Flavour::Ping {
            self.ensure_identifier()?;
        }
        *self.local.lock() = route.source;
        *self.peer.lock() = Some(route.destination);
        Ok(())
    }

    fn accept(&self, _is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address::to_bytes(SocketAddrV4::new(self.local(), self.identifier())))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        Ok(address::to_bytes(SocketAddrV4::new(self.peer().ok_or(Errno::ENOTCONN)?, 0)))
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        send::send(self, source, &message)
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        if how.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if how.flags & MSG_ERRQUEUE != 0 {
            return self.errors.receive(sink, how.flags, |error| *self.error.lock() = error);
        }
        let deadline_ns = self.options.receive_deadline_ns();
        loop {
            if let Some(error) = self.take_error() {
                return Err(error.into());
            }
            if let Some(arrived) = self.queue.next(how.flags & MSG_PEEK != 0) {
                let (len, truncated) = copy_datagram(sink, how.flags, &arrived.bytes)?;
                return Ok(Incoming {
                    len,
                    flags: truncated,
                    from: Some(address::to_bytes(SocketAddrV4::new(arrived.from, 0))),
                    control: self.control(&arrived),
                    ..Incoming::default()
                });
            }
            if !how.may_wait() {
                return Err(Errno::EAGAIN.into());
            }
            let is_ready = || (!self.queue.is_empty() || self.has_error()).then_some(());
            wait::wait_for_events(&self.pollee, IoEvents::IN, deadline_ns, is_ready)
                .map_err(|error| interrupted(error, deadline_ns))?;
        }
    }

    fn shutdown(&self, _how: Shutdown) -> Result<()> {
        if self.peer().is_none() { Err(Errno::ENOTCONN.into()) } else { Ok(()) }
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn take_error(&self) -> Option<Errno> {
        self.error.lock().take()
    }

    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        match (level, name) {
            (SOL_RAW, ICMP_FILTER) if self.flavour == Flavour::Raw(IPPROTO_ICMP as u8) => {
                Ok(OptionValue::Int(self.filter.load(Ordering::Relaxed).cast_signed()))
            }
            (IPPROTO_IP, IP_HDRINCL) if self.flavour != Flavour::Ping => {
                Ok(OptionValue::Int(i32::from(self.has_own_headers())))
            }
            _ => self.ip.lock().get(level, name, &self.ns),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        match (level, name) {
            (SOL_RAW, ICMP_FILTER) if self.flavour == Flavour::Raw(IPPROTO_ICMP as u8) => {
                self.filter.store(int(value)?.cast_unsigned(), Ordering::Relaxed);
            }
            (IPPROTO_IP, IP_HDRINCL) if self.flavour != Flavour::Ping => {
                self.has_own_headers.store(int(value)? != 0, Ordering::Relaxed);
            }
            _ => self.ip.lock().set(level, name, value, &self.ns)?,
        }
        Ok(())
    }

    fn unread_bytes(&self) -> usize {
        self.queue.first_len()
    }

    fn unsent_bytes(&self) -> usize {
        0
    }

    fn poll(&self) -> IoEvents {
        let mut events = IoEvents::OUT | IoEvents::WRNORM | IoEvents::WRBAND;
        if !self.queue.is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if self.has_error() || !self.errors.is_empty() {
            events |= IoEvents::ERR;
        }
        events
    }

    fn pollee(&self) -> &Pollee {
        &self.pollee
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        self.ns.inet.raw.remove(self);
    }
}
