//! Raw sockets (raw(7)), which see whole IP packets of a protocol, and ping sockets (icmp(7)), which see the answers to their own echo requests.
//!
//! [`deliver`] gives each its copy of what has arrived; the [`socket::RawSocket`] is both, as its [`Flavour`] says.

mod queue;
mod send;
mod socket;

pub use socket::RawSocket;

use crate::error::{Errno, Error, Result};
use crate::net::Socket;
use crate::net::ip::protocol::IcmpError;
use crate::net::ns::NetNs;
use crate::net::packet::{Checksum, Packet};
use crate::net::report::Report;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet};

/// IPPROTO_RAW: only sends.
const IPPROTO_RAW: u8 = 255;

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Whole packets of a protocol.
    Raw(u8),
    /// ICMP messages without their IP header; sent ones get the socket's identifier.
    Ping,
}

/// What a network namespace keeps.
#[derive(Debug, Default)]
pub struct Tables {
    sockets: SpinLock<Vec<Weak<RawSocket>>>,
    /// So many, for a look without the lock.
    count: AtomicUsize,
    /// Held by whoever chooses an identifier.
    identifying: SpinLock<()>,
}

/// A new raw socket.
///
/// # Errors
/// EPERM, EPROTONOSUPPORT.
pub fn create(ns: Arc<NetNs>, protocol: u32) -> Result<Arc<dyn Socket>> {
    let protocol = u8::try_from(protocol).map_err(|_| Errno::EPROTONOSUPPORT)?;
    if protocol == 0 {
        return Err(Errno::EPROTONOSUPPORT.into());
    }
    let is_allowed = Thread::current()
        .is_some_and(|thread| thread.process().credentials().has_in(ns.owner(), Capability::NetRaw));
    if !is_allowed {
        return Err(Errno::EPERM.into());
    }
    Ok(RawSocket::new(ns, Flavour::Raw(protocol)))
}

/// A new ping socket.
///
/// # Errors
/// EACCES for a user whose groups are not in net.ipv4.ping_group_range.
pub fn create_ping(ns: Arc<NetNs>) -> Result<Arc<dyn Socket>> {
    let [first, last] = ns.settings.ping_groups.each_ref().map(|group| group.load(Ordering::Relaxed));
    let credentials = Thread::current().ok_or(Errno::EACCES)?.process().credentials();
    let mut groups = credentials.groups.iter().chain([&credentials.gid[1]]);
    if !groups.any(|group| (first..=last).contains(group)) {
        return Err(Error::with(Errno::EACCES, "not in net.ipv4.ping_group_range"));
    }
    Ok(RawSocket::new(ns, Flavour::Ping))
}

/// Gives all whom it concerns a copy of a packet for this machine; its window starts at the IP header. Whether it concerned anybody.
pub fn deliver(ns: &NetNs, packet: &Packet) -> bool {
    if ns.inet.raw.count.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let protocol = u8::from(packet.ip().next_header());
    let is_good_icmp = packet.ip().next_header() == IpProtocol::Icmp
        && (packet.checksum != Checksum::InPacket || coffer_checksum::sum(packet.transport()) == u16::MAX);
    let is_reply = Icmpv4Packet::new_checked(packet.transport())
        .is_ok_and(|icmp| icmp.msg_type() == Icmpv4Message::EchoReply);
    let mut is_wanted = false;
    for socket in ns.inet.raw.all() {
        match socket.flavour() {
            Flavour::Raw(wanted) if wanted == protocol => is_wanted |= socket.take(packet),
            Flavour::Ping if is_good_icmp && is_reply => is_wanted |= socket.take(packet),
            _ => {}
        }
    }
    is_wanted
}

/// Tells raw and ping sockets of an ICMP error about what they have sent.
pub fn on_icmp_error(ns: &NetNs, error: &IcmpError<'_>) {
    if ns.inet.raw.count.load(Ordering::Relaxed) == 0 {
        return;
    }
    // Checked for length, as far as it is looked at.
    let ip = Ipv4Packet::new_unchecked(error.quoted);
    let Some(rest) = error.quoted.get(usize::from(ip.header_len())..) else { return };
    for socket in ns.inet.raw.all() {
        socket.hear(error, &ip, rest);
    }
}

/// What tables tell of the raw sockets of a namespace.
pub fn report(ns: &NetNs) -> Vec<Report> {
    let sockets = ns.inet.raw.all();
    sockets.iter().filter(|socket| socket.flavour() != Flavour::Ping).map(|socket| socket.report()).collect()
}

impl Tables {
    fn all(&self) -> Vec<Arc<RawSocket>> {
        self.sockets.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&self, socket: &Arc<RawSocket>) {
        let mut sockets = self.sockets.lock();
        sockets.push(Arc::downgrade(socket));
        self.count.store(sockets.len(), Ordering::Relaxed);
    }

    fn remove(&self, socket: &RawSocket) {
        let mut sockets = self.sockets.lock();
        sockets.retain(|known| !core::ptr::eq(known.as_ptr(), socket));
        self.count.store(sockets.len(), Ordering::Relaxed);
    }

    /// Gives `socket`, a ping socket, an identifier; 0 asks for any.
    ///
    /// # Errors
    /// EADDRINUSE.
    fn identify(&self, socket: &RawSocket, wanted: u16) -> Result<u16> {
        let mut random = [0; 2];
        crate::random::fill(&mut random);
        let start = u16::from_ne_bytes(random);
        let sockets = self.all();
        // Taken after the others, whose last handles may go with `sockets`, once it is given back.
        let _alone = self.identifying.lock();
        let is_free = |identifier: u16| {
            let mut others = sockets.iter().filter(|other| !core::ptr::eq(Arc::as_ptr(other), socket));
            !others.any(|other| other.identifier() == identifier)
        };
        let identifier = match wanted {
            0 => (0..u16::MAX).map(|step| start.wrapping_add(step)).find(|&one| one != 0 && is_free(one)),
            wanted => Some(wanted).filter(|&one| is_free(one)),
        };
        let identifier = identifier.ok_or(Errno::EADDRINUSE)?;
        socket.set_identifier(identifier);
        Ok(identifier)
    }
}
