//! The socket itself.

use super::dump::Dump;
use super::queue::{Datagram, Queue};
use super::request::{require, serve_all};
use super::{AF_NETLINK, Protocol};
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::message::{ControlMessage, Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::ns::NetNs;
use crate::net::options::{OptionValue, int};
use crate::net::{Kind, Options, Shutdown, Socket};
use crate::process::credentials::Capability;
use crate::thread::{Thread, wait};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::net::{AF_UNSPEC, MSG_OOB, MSG_PEEK, MSG_TRUNC, ucred};
use coffer_abi_types::netlink::{
    NETLINK_ADD_MEMBERSHIP, NETLINK_BROADCAST_ERROR, NETLINK_CAP_ACK, NETLINK_DROP_MEMBERSHIP,
    NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_LIST_MEMBERSHIPS, NETLINK_NO_ENOBUFS, NETLINK_PKTINFO,
    SOL_NETLINK, nl_pktinfo, sockaddr_nl,
};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ostd::sync::{Mutex, SpinLock};
use zerocopy::{FromBytes, IntoBytes};

/// Groups have numbers from 1 to this.
const GROUPS: u32 = 64;
/// Options that are on or off.
const SWITCHES: [u32; 6] = [
    NETLINK_PKTINFO,
    NETLINK_BROADCAST_ERROR,
    NETLINK_NO_ENOBUFS,
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
];
/// Bytes of a piece of a list, unless the reader has shown more room; and however much that is. As on Linux with pages of 4 KiB.
const PIECE_MIN: usize = 3776;
const PIECE_MAX: usize = 32_768;

/// A socket.
#[derive(Debug)]
pub struct NetlinkSocket {
    this: Weak<Self>,
    namespace: Arc<NetNs>,
    kind: Kind,
    protocol: Protocol,
    options: Options,
    pollee: Pollee,
    /// 0: none yet.
    port: AtomicU32,
    /// Bit N-1: member of group N.
    groups: AtomicU64,
    /// Port and groups that connect(2) gave.
    peer: SpinLock<(u32, u32)>,
    switches: AtomicU32,
    queue: Queue,
    dump: Mutex<Option<Dump>>,
    /// The largest room that a reader has shown.
    largest_room: AtomicUsize,
    /// The errno to report once; 0 for none.
    error: AtomicI32,
}

impl NetlinkSocket {
    /// Without a port.
    pub fn new(namespace: Arc<NetNs>, kind: Kind, protocol: Protocol) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            namespace,
            kind,
            protocol,
            options: Options::new(),
            pollee: Pollee::new(),
            port: AtomicU32::new(0),
            groups: AtomicU64::new(0),
            peer: SpinLock::new((0, 0)),
            switches: AtomicU32::new(0),
            queue: Queue::default(),
            dump: Mutex::new(None),
            largest_room: AtomicUsize::new(0),
            error: AtomicI32::new(0),
        })
    }

    /// What its messages are about.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it was made.
    pub fn namespace(&self) -> &Arc<NetNs> {
        &self.namespace
    }

    /// Its port, or 0.
    pub fn port(&self) -> u32 {
        self.port.load(Ordering::SeqCst)
    }

    /// The groups that it is in, as bits; those above the 32nd are left out.
    pub fn groups(&self) -> u32 {
        self.groups.load(Ordering::SeqCst) as u32
    }

    /// Whether it is in a group.
    pub fn is_member(&self, group: u32) -> bool {
        group_bit(group).is_some_and(|bit| self.groups.load(Ordering::SeqCst) & bit != 0)
    }

    /// Port and groups that connect(2) gave.
    pub fn target(&self) -> (u32, u32) {
        *self.peer.lock()
    }

    /// What waits to be read counts for so much.
    pub fn charge(&self) -> usize {
        self.queue.charge()
    }

    /// Whether lists are to hold only what was asked for.
    pub fn is_strict(&self) -> bool {
        self.is_on(NETLINK_GET_STRICT_CHK)
    }

    /// Whether it does not want its own messages back.
    pub fn wants_capped_answers(&self) -> bool {
        self.is_on(NETLINK_CAP_ACK)
    }

    /// Whether it wants errors in words.
    pub fn wants_words(&self) -> bool {
        self.is_on(NETLINK_EXT_ACK)
    }

    fn is_on(&self, switch: u32) -> bool {
        self.switches.load(Ordering::Relaxed) & 1 << switch != 0
    }

    /// Gives it something to read; if it has too much already, it learns that it has missed something.
    pub fn deliver(&self, datagram: Datagram) {
        if self.queue.push(datagram, self.options.receive_buffer()) {
            self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        } else if !self.is_on(NETLINK_NO_ENOBUFS) {
            self.set_error(Errno::ENOBUFS);
        }
    }

    /// Sets the error to report once.
    pub fn set_error(&self, errno: Errno) {
        self.error.store(errno as i32, Ordering::SeqCst);
        self.pollee.notify(IoEvents::ERR);
    }

    /// Begins to answer with a list.
    ///
    /// # Errors
    /// EBUSY while another one is on its way, ENOBUFS.
    pub fn start_dump(&self, dump: Dump) -> Result<()> {
        let mut current = self.dump.lock();
        if current.is_some() {
            return Err(Errno::EBUSY.into());
        }
        *current = Some(dump);
        self.continue_dump(&mut current)
    }

    /// Puts the next piece of a list into the queue.
    fn continue_dump(&self, current: &mut Option<Dump>) -> Result<()> {
        let Some(dump) = current else { return Ok(()) };
        let room = self.largest_room.load(Ordering::Relaxed).clamp(PIECE_MIN, PIECE_MAX);
        let result = dump.next(room);
        if !matches!(result, Ok((_, false))) {
            *current = None;
        }
        let (bytes, _) = result?;
        self.deliver(Datagram::from_kernel(bytes, 0));
        Ok(())
    }

    fn bind_any(&self) -> Result<()> {
        if self.port() != 0 {
            return Ok(());
        }
        let this = self.this.upgrade().ok_or(Errno::EINVAL)?;
        let process = Thread::current().map_or(0, |thread| thread.process().id().own());
        let port = self.namespace.netlink.bind_any(&this, process)?;
        self.keep_port(port)
    }

    fn keep_port(&self, port: u32) -> Result<()> {
        if self.port.compare_exchange(0, port, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.namespace.netlink.release(self, port);
            return Err(Errno::EINVAL.into());
        }
        Ok(())
    }

    /// Whether the caller may join groups.
    fn check_listener(&self) -> Result<()> {
        if self.protocol.is_heard_by_all() { Ok(()) } else { require(Capability::NetAdmin) }
    }

    /// Whether the caller may send to `port` and `groups`.
    fn check_target(&self, (port, groups): (u32, u32)) -> Result<()> {
        if (port, groups) == (0, 0) || self.protocol.is_sent_by_all() {
            return Ok(());
        }
        require(Capability::NetAdmin)
    }

    fn change_membership(&self, group: u32, is_member: bool) -> Result<()> {
        self.check_listener()?;
        let bit = group_bit(group).ok_or(Errno::EINVAL)?;
        if is_member {
            self.groups.fetch_or(bit, Ordering::SeqCst);
            self.bind_any()
        } else {
            self.groups.fetch_and(!bit, Ordering::SeqCst);
            Ok(())
        }
    }

    fn take(&self, sink: &mut dyn Sink, flags: u32) -> Result<Option<Incoming>> {
        let is_peek = flags & MSG_PEEK != 0;
        let next = if is_peek { self.queue.first() } else { self.queue.pop() };
        let Some(datagram) = next else { return Ok(None) };
        let full = datagram.bytes.len();
        let copied = full.min(sink.remaining());
        let written = if copied > 0 { sink.write(&datagram.bytes[..copied]) } else { Ok(0) };
        if !is_peek {
            self.after_reading();
        }
        if written? < copied {
            return Err(Errno::EFAULT.into());
        }
        let group = if datagram.group == 0 { 0 } else { 1_u32.checked_shl(datagram.group - 1).unwrap_or(0) };
        let mut incoming = Incoming {
            len: if flags & MSG_TRUNC != 0 { full } else { copied },
            flags: if copied < full { MSG_TRUNC } else { 0 },
            from: Some(address(datagram.port, group)),
            ..Incoming::default()
        };
        if self.options.passes_credentials() {
            incoming.credentials = Some(datagram.credentials);
        }
        if self.is_on(NETLINK_PKTINFO) {
            let info = nl_pktinfo { group: datagram.group };
            let control = ControlMessage {
                level: SOL_NETLINK,
                kind: NETLINK_PKTINFO as i32,
                bytes: Vec::from(info.as_bytes()),
            };
            incoming.control.push(control);
        }
        Ok(Some(incoming))
    }

    /// There is room again: a list goes on.
    fn after_reading(&self) {
        if self.queue.charge() > self.options.receive_buffer() / 2 {
            return;
        }
        let mut dump = self.dump.lock();
        if let Err(error) = self.continue_dump(&mut dump) {
            self.set_error(error.errno());
        }
    }

    fn send_to_others(&self, bytes: Vec<u8>, (port, groups): (u32, u32), len: usize) -> Result<usize> {
        let credentials = Thread::current().map_or_else(ucred::default, |thread| {
            let process = thread.process();
            let credentials = process.credentials();
            ucred { pid: process.pid(), uid: credentials.uid[0], gid: credentials.gid[0] }
        });
        let mut datagram = Datagram { bytes: Arc::new(bytes), port: self.port(), group: 0, credentials };
        if groups != 0 {
            // As on Linux, the lowest of them.
            datagram.group = groups.trailing_zeros() + 1;
            self.namespace.netlink.multicast(self.protocol, &datagram);
            datagram.group = 0;
        }
        if port != 0 {
            let target = self.namespace.netlink.find(self.protocol, port).ok_or(Errno::ECONNREFUSED)?;
            if !target.queue.push(datagram, target.options.receive_buffer()) {
                return Err(Errno::EAGAIN.into());
            }
            target.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        }
        Ok(len)
    }
}

impl Socket for NetlinkSocket {
    fn family(&self) -> u16 {
        AF_NETLINK
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn protocol(&self) -> u32 {
        self.protocol as u32
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, address: &[u8], _thread: &Thread) -> Result<()> {
        let address = parse(address)?;
        if address.nl_groups != 0 {
            self.check_listener()?;
        }
        match (self.port(), address.nl_pid) {
            (0, 0) => self.bind_any()?,
            (0, wanted) => {
                let this = self.this.upgrade().ok_or(Errno::EINVAL)?;
                self.namespace.netlink.bind(&this, wanted)?;
                self.keep_port(wanted)?;
            }
            (port, wanted) if wanted == port || wanted == 0 => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        let keep_high = |groups| Some(groups & !u64::from(u32::MAX) | u64::from(address.nl_groups));
        let _ = self.groups.fetch_update(Ordering::SeqCst, Ordering::SeqCst, keep_high);
        Ok(())
    }

    fn listen(&self, _backlog: usize, _thread: &Thread) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn connect(&self, address: &[u8], _is_nonblocking: bool, _thread: &Thread) -> Result<()> {
        let family = address.first_chunk::<2>().ok_or(Errno::EINVAL)?;
        if u16::from_ne_bytes(*family) == AF_UNSPEC {
            *self.peer.lock() = (0, 0);
            return Ok(());
        }
        let address = parse(address)?;
        let target = (address.nl_pid, address.nl_groups);
        self.check_target(target)?;
        self.bind_any()?;
        *self.peer.lock() = target;
        Ok(())
    }

    fn accept(&self, _is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address(self.port(), self.groups()))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        let (port, groups) = self.target();
        Ok(address(port, groups))
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        if message.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let target = match message.to {
            Some(to) => {
                let to = parse(to)?;
                (to.nl_pid, to.nl_groups)
            }
            None => self.target(),
        };
        self.check_target(target)?;
        self.bind_any()?;
        let len = source.remaining();
        if len > self.options.send_buffer() {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOBUFS)?;
        if source.append_to(&mut bytes, len)? < len {
            return Err(Errno::EFAULT.into());
        }
        if target != (0, 0) {
            return self.send_to_others(bytes, target, len);
        }
        serve_all(&self.this.upgrade().ok_or(Errno::EINVAL)?, &bytes)?;
        Ok(len)
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        if how.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        self.largest_room.fetch_max(sink.remaining(), Ordering::Relaxed);
        let deadline_ns = self.options.receive_deadline_ns();
        loop {
            if let Some(error) = self.take_error() {
                return Err(error.into());
            }
            if let Some(incoming) = self.take(sink, how.flags)? {
                return Ok(incoming);
            }
            if !how.may_wait() {
                return Err(Errno::EAGAIN.into());
            }
            let is_ready = || (self.poll().intersects(IoEvents::IN | IoEvents::ERR)).then_some(());
            let waited = wait::wait_for_events(&self.pollee, IoEvents::IN, deadline_ns, is_ready);
            waited.map_err(|error| match error.errno() {
                Errno::ETIMEDOUT => Error::new(Errno::EAGAIN),
                _ => error,
            })?;
        }
    }

    fn shutdown(&self, _how: Shutdown) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn take_error(&self) -> Option<Errno> {
        Errno::from_number(self.error.swap(0, Ordering::SeqCst))
    }

    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        match (level, name) {
            (SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS) => {
                Ok(OptionValue::Bytes(Vec::from(self.groups.load(Ordering::SeqCst).as_bytes())))
            }
            (SOL_NETLINK, _) if SWITCHES.contains(&name) => Ok(OptionValue::Int(i32::from(self.is_on(name)))),
            _ => Err(Errno::ENOPROTOOPT.into()),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        if level != SOL_NETLINK {
            return Err(Errno::ENOPROTOOPT.into());
        }
        let value = int(value)?;
        match name {
            NETLINK_ADD_MEMBERSHIP | NETLINK_DROP_MEMBERSHIP => {
                self.change_membership(value.cast_unsigned(), name == NETLINK_ADD_MEMBERSHIP)
            }
            _ if SWITCHES.contains(&name) => {
                if value != 0 {
                    self.switches.fetch_or(1 << name, Ordering::Relaxed);
                } else {
                    self.switches.fetch_and(!(1 << name), Ordering::Relaxed);
                }
                Ok(())
            }
            _ => Err(Errno::ENOPROTOOPT.into()),
        }
    }

    fn unread_bytes(&self) -> usize {
        self.queue.first().map_or(0, |datagram| datagram.bytes.len())
    }

    fn unsent_bytes(&self) -> usize {
        0
    }

    fn poll(&self) -> IoEvents {
        let mut events = IoEvents::OUT | IoEvents::WRNORM | IoEvents::WRBAND;
        if !self.queue.is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if self.error.load(Ordering::SeqCst) != 0 {
            events |= IoEvents::ERR;
        }
        events
    }

    fn pollee(&self) -> &Pollee {
        &self.pollee
    }
}

impl Drop for NetlinkSocket {
    fn drop(&mut self) {
        let port = self.port();
        if port != 0 {
            self.namespace.netlink.release(self, port);
        }
    }
}

fn group_bit(group: u32) -> Option<u64> {
    (1..=GROUPS).contains(&group).then(|| 1 << (group - 1))
}

fn parse(bytes: &[u8]) -> Result<sockaddr_nl> {
    let (address, _) = sockaddr_nl::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?;
    if address.nl_family != AF_NETLINK {
        return Err(Errno::EINVAL.into());
    }
    Ok(address)
}

fn address(nl_pid: u32, nl_groups: u32) -> Vec<u8> {
    Vec::from(sockaddr_nl { nl_family: AF_NETLINK, nl_pad: 0, nl_pid, nl_groups }.as_bytes())
}
