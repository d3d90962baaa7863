//! The socket itself.

use super::frame::{ADDRESS_LEN, Frame};
use super::membership::Memberships;
use super::queue::{Arrived, Queue};
use super::{Sight, send};
use crate::error::{Errno, Error, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::message::{ControlMessage, Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::ns::NetNs;
use crate::net::options::{OptionValue, int};
use crate::net::socket::{interrupted, unknown_option};
use crate::net::{Kind, Options, Shutdown, Socket};
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use coffer_abi_types::packet::{
    AF_PACKET, ETH_P_ALL, PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_DROP_MEMBERSHIP,
    PACKET_IGNORE_OUTGOING, PACKET_STATISTICS, SOL_PACKET, sockaddr_ll, tpacket_auxdata,
};
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use ostd::sync::SpinLock;
use zerocopy::{FromBytes, IntoBytes};

/// A socket.
#[derive(Debug)]
pub struct PacketSocket {
    ns: Arc<NetNs>,
    kind: Kind,
    options: Options,
    pollee: Pollee,
    queue: Queue,
    binding: SpinLock<Binding>,
    memberships: Memberships,
    wants_auxiliary: AtomicBool,
    ignores_outgoing: AtomicBool,
    /// The errno to report once; 0 for none.
    error: AtomicI32,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// An EtherType, [`ETH_P_ALL`], or 0 for none.
    pub protocol: u16,
    /// A link's index, or 0 for all.
    pub link: u32,
}

impl PacketSocket {
    /// For a protocol on all links.
    pub fn new(ns: Arc<NetNs>, kind: Kind, protocol: u16) -> Arc<Self> {
        let socket = Arc::new(Self {
            ns,
            kind,
            options: Options::new(),
            pollee: Pollee::new(),
            queue: Queue::default(),
            binding: SpinLock::new(Binding { protocol, link: 0 }),
            memberships: Memberships::default(),
            wants_auxiliary: AtomicBool::new(false),
            ignores_outgoing: AtomicBool::new(false),
            error: AtomicI32::new(0),
        });
        socket.ns.packet_sockets.add(&socket);
        socket
    }

    pub(super) fn ns(&self) -> &Arc<NetNs> {
        &self.ns
    }

    pub(super) fn binding(&self) -> Binding {
        *self.binding.lock()
    }

    /// What it is told apart by while it is alive; never 0.
    pub(super) fn key(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Takes a copy of a frame if it is for this socket.
    pub(super) fn take(&self, frame: &Frame<'_>) {
        let bound = self.binding();
        let is_wanted = match bound.protocol {
            0 => false,
            ETH_P_ALL => frame.sight != Sight::Leaving || !self.ignores_outgoing.load(Ordering::Relaxed),
            protocol => frame.sight == Sight::Arrived && protocol == frame.protocol,
        };
        if is_wanted
            && (bound.link == 0 || bound.link == frame.from.sll_ifindex)
            && self.queue.push(frame, self.kind == Kind::Raw, self.options.receive_buffer())
        {
            self.pollee.notify(IoEvents::IN | IoEvents::RDNORM);
        }
    }

    fn control(&self, arrived: &Arrived) -> Vec<ControlMessage> {
        if !self.wants_auxiliary.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let len = u32::try_from(arrived.bytes.len()).unwrap_or(u32::MAX);
        let auxiliary = tpacket_auxdata {
            tp_status: arrived.status,
            tp_len: len,
            tp_snaplen: len,
            tp_net: arrived.network_at as u16,
            ..tpacket_auxdata::default()
        };
        let bytes = Vec::from(auxiliary.as_bytes());
        alloc::vec![ControlMessage { level: SOL_PACKET, kind: PACKET_AUXDATA.cast_signed(), bytes }]
    }

    fn has_error(&self) -> bool {
        self.error.load(Ordering::SeqCst) != 0
    }
}

impl Socket for PacketSocket {
    fn family(&self) -> u16 {
        AF_PACKET
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, address: &[u8], _thread: &Thread) -> Result<()> {
        let (address, _) = sockaddr_ll::read_from_prefix(address).map_err(|_| Errno::EINVAL)?;
        if address.sll_family != AF_PACKET {
            return Err(Error::with(Errno::EINVAL, "an address of another family"));
        }
        let link = match address.sll_ifindex {
            0 => None,
            index => Some(self.ns.link(index).ok_or(Errno::ENODEV)?),
        };
        let mut binding = self.binding.lock();
        binding.link = address.sll_ifindex;
        match u16::from_be_bytes(address.sll_protocol) {
            0 => {}
            protocol => binding.protocol = protocol,
        }
        let has_protocol = binding.protocol != 0;
        drop(binding);
        if has_protocol && link.is_some_and(|link| !link.is_up()) {
            self.error.store(Errno::ENETDOWN as i32, Ordering::SeqCst);
            self.pollee.notify(IoEvents::ERR);
        }
        Ok(())
    }

    fn listen(&self, _backlog: usize, _thread: &Thread) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn connect(&self, _address: &[u8], _is_nonblocking: bool, _thread: &Thread) -> Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn accept(&self, _is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        let bound = self.binding();
        let mut address = sockaddr_ll {
            sll_family: AF_PACKET,
            sll_protocol: bound.protocol.to_be_bytes(),
            sll_ifindex: bound.link,
            ..sockaddr_ll::default()
        };
        if let Some(link) = self.ns.link(bound.link) {
            address.sll_hatype = link.hardware_type();
            address.sll_halen = ADDRESS_LEN;
            address.sll_addr[..usize::from(ADDRESS_LEN)].copy_from_slice(&link.mac().0);
        }
        let len = offset_of!(sockaddr_ll, sll_addr) + usize::from(address.sll_halen);
        Ok(Vec::from(&address.as_bytes()[..len]))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        send::send(self, source, &message)
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        if how.flags & MSG_OOB != 0 {
            return Err(Errno::EINVAL.into());
        }
        // Only times of sending would be there, which are not taken.
        if how.flags & MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN.into());
        }
        let deadline_ns = self.options.receive_deadline_ns();
        loop {
            if let Some(error) = self.take_error() {
                return Err(error.into());
            }
            if let Some(arrived) = self.queue.next(how.flags & MSG_PEEK != 0) {
                let full = arrived.bytes.len();
                let copied = full.min(sink.remaining());
                if copied > 0 && sink.write(&arrived.bytes[..copied])? < copied {
                    return Err(Errno::EFAULT.into());
                }
                return Ok(Incoming {
                    len: if how.flags & MSG_TRUNC != 0 { full } else { copied },
                    flags: if copied < full { MSG_TRUNC } else { 0 },
                    from: Some(Vec::from(arrived.from.as_bytes())),
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
        Err(Errno::EOPNOTSUPP.into())
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn take_error(&self) -> Option<Errno> {
        (self.error.swap(0, Ordering::SeqCst) != 0).then_some(Errno::ENETDOWN)
    }

    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        match (level, name) {
            (SOL_PACKET, PACKET_STATISTICS) => {
                Ok(OptionValue::Bytes(Vec::from(self.queue.take_counts().as_bytes())))
            }
            (SOL_PACKET, PACKET_AUXDATA) => {
                Ok(OptionValue::Int(self.wants_auxiliary.load(Ordering::Relaxed).into()))
            }
            (SOL_PACKET, PACKET_IGNORE_OUTGOING) => {
                Ok(OptionValue::Int(self.ignores_outgoing.load(Ordering::Relaxed).into()))
            }
            (SOL_PACKET, _) => Err(Errno::ENOPROTOOPT.into()),
            _ => Err(unknown_option(level)),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        match (level, name) {
            (SOL_PACKET, PACKET_ADD_MEMBERSHIP) => self.memberships.add(&self.ns, value),
            (SOL_PACKET, PACKET_DROP_MEMBERSHIP) => self.memberships.drop(value),
            (SOL_PACKET, PACKET_AUXDATA) => {
                self.wants_auxiliary.store(int(value)? != 0, Ordering::Relaxed);
                Ok(())
            }
            (SOL_PACKET, PACKET_IGNORE_OUTGOING) => {
                let number = int(value)?;
                if !(0..=1).contains(&number) {
                    return Err(Errno::EINVAL.into());
                }
                self.ignores_outgoing.store(number != 0, Ordering::Relaxed);
                Ok(())
            }
            // COMPAT: rings of frames in memory of its own (PACKET_RX_RING), fan-out and the rest are missing.
            (SOL_PACKET, _) => Err(Errno::ENOPROTOOPT.into()),
            _ => Err(unknown_option(level)),
        }
    }

    fn unread_bytes(&self) -> usize {
        self.queue.first_len()
    }

    fn kept_bytes(&self) -> usize {
        self.queue.charge()
    }

    fn unsent_bytes(&self) -> usize {
        0
    }

    fn poll(&self) -> IoEvents {
        let mut events = IoEvents::OUT | IoEvents::WRNORM | IoEvents::WRBAND;
        if !self.queue.is_empty() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if self.has_error() {
            events |= IoEvents::ERR;
        }
        events
    }

    fn pollee(&self) -> &Pollee {
        &self.pollee
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        self.memberships.drop_all();
        self.ns.packet_sockets.remove(self);
    }
}
