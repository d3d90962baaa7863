//! Packet sockets (packet(7)): frames as links see them, coming in and going out, and frames of one's own making.
//!
//! [`show`] is called for every frame of every link, and costs a load as long as there is no such socket.

mod frame;
mod membership;
mod queue;
mod send;
mod socket;

pub use socket::PacketSocket;

use super::link::Link;
use super::ns::NetNs;
use super::packet::Packet;
use super::{Kind, Socket};
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::net::{SOCK_DGRAM, SOCK_RAW};
use core::sync::atomic::{AtomicUsize, Ordering};
use frame::Frame;
use ostd::sync::SpinLock;

/// Packet sockets on the whole machine.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What a network namespace keeps.
#[derive(Debug, Default)]
pub struct Tables {
    sockets: SpinLock<Vec<Weak<PacketSocket>>>,
}

/// Where on its way a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It has come in by the port of a bridge: only who wants everything sees it there.
    AtPort,
    /// It has come in.
    Arrived,
    /// It is about to leave.
    Leaving,
}

/// A new socket. `protocol` is in network order, as socket(2) takes it.
///
/// # Errors
/// EPERM, ESOCKTNOSUPPORT, ENOMEM.
pub fn create(kind: u32, protocol: u32) -> Result<Arc<dyn Socket>> {
    let owner = NetNs::current()?.owner().clone();
    let is_allowed = Thread::current()
        .is_some_and(|thread| thread.process().credentials().has_in(&owner, Capability::NetRaw));
    if !is_allowed {
        return Err(Errno::EPERM.into());
    }
    let kind = match kind {
        SOCK_RAW => Kind::Raw,
        SOCK_DGRAM => Kind::Datagram,
        _ => return Err(Errno::ESOCKTNOSUPPORT.into()),
    };
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    Ok(PacketSocket::new(NetNs::current()?, kind, u16::from_be(protocol as u16)))
}

/// Shows a frame to all sockets that want it. The window starts at its Ethernet header; on the loopback link at its IP header.
pub fn show(link: &Arc<Link>, packet: &Packet, sight: Sight) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let Some(namespace) = link.namespace() else { return };
    let Some(frame) = Frame::of(link, packet, sight) else { return };
    for socket in namespace.packet_sockets.all() {
        if sight != Sight::Leaving || packet.sender != socket.key() {
            socket.take(&frame);
        }
    }
}

impl Tables {
    fn all(&self) -> Vec<Arc<PacketSocket>> {
        self.sockets.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&self, socket: &Arc<PacketSocket>) {
        self.sockets.lock().push(Arc::downgrade(socket));
        COUNT.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self, socket: &PacketSocket) {
        self.sockets.lock().retain(|known| !core::ptr::eq(known.as_ptr(), socket));
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}
