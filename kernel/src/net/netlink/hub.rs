//! Who has which port, and who is in which group, in one network namespace.

use super::queue::Datagram;
use super::{NetlinkSocket, Protocol};
use crate::error::{Errno, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// The sockets that have a port, by protocol and port.
#[derive(Debug, Default)]
pub struct Hub {
    sockets: SpinLock<BTreeMap<(Protocol, u32), Weak<NetlinkSocket>>>,
}

/// Where ports begin that are given to those who do not get that of their process; they go down from here, as on Linux.
const FIRST_SPARE_PORT: u32 = (-4097_i32).cast_unsigned();

impl Hub {
    /// Gives `socket` the port `wanted`.
    ///
    /// # Errors
    /// EADDRINUSE.
    pub fn bind(&self, socket: &Arc<NetlinkSocket>, wanted: u32) -> Result<()> {
        let mut sockets = self.sockets.lock();
        let key = (socket.protocol(), wanted);
        if sockets.get(&key).is_some_and(|known| known.strong_count() > 0) {
            return Err(Errno::EADDRINUSE.into());
        }
        sockets.insert(key, Arc::downgrade(socket));
        Ok(())
    }

    /// Gives `socket` a port that is free: that of its process, if it is.
    ///
    /// # Errors
    /// EADDRINUSE if there is none.
    pub fn bind_any(&self, socket: &Arc<NetlinkSocket>, process: u32) -> Result<u32> {
        let spare = (0..=u32::MAX / 2).map(|back| FIRST_SPARE_PORT - back);
        let mut ports = core::iter::once(process).filter(|port| *port != 0).chain(spare);
        ports.find(|port| self.bind(socket, *port).is_ok()).ok_or(Errno::EADDRINUSE.into())
    }

    /// Gives back the port that `socket` has, unless it is another's by now.
    pub fn release(&self, socket: &NetlinkSocket, port: u32) {
        let mut sockets = self.sockets.lock();
        let key = (socket.protocol(), port);
        let is_its = sockets.get(&key).is_some_and(|known| core::ptr::eq(known.as_ptr(), socket));
        let gone = if is_its { sockets.remove(&key) } else { None };
        drop(sockets);
        drop(gone);
    }

    /// Who has a port.
    pub fn find(&self, protocol: Protocol, port: u32) -> Option<Arc<NetlinkSocket>> {
        self.sockets.lock().get(&(protocol, port)).and_then(Weak::upgrade)
    }

    /// All that have a port.
    pub fn all(&self) -> Vec<Arc<NetlinkSocket>> {
        self.sockets.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Whether anybody is in a group: news that nobody hears need not be written.
    pub fn has_members(&self, protocol: Protocol, group: u32) -> bool {
        self.members(protocol, group).next().is_some()
    }

    /// Gives `datagram` to all in its group, but for the one with the port that it comes from.
    pub fn multicast(&self, protocol: Protocol, datagram: &Datagram) {
        for socket in self.members(protocol, datagram.group).collect::<Vec<_>>() {
            if datagram.port == 0 || socket.port() != datagram.port {
                socket.deliver(datagram.clone());
            }
        }
    }

    fn members(&self, protocol: Protocol, group: u32) -> impl Iterator<Item = Arc<NetlinkSocket>> {
        let sockets: Vec<_> = {
            let sockets = self.sockets.lock();
            let of_protocol = sockets.range((protocol, 0)..=(protocol, u32::MAX));
            of_protocol.filter_map(|(_, socket)| socket.upgrade()).collect()
        };
        sockets.into_iter().filter(move |socket| socket.is_member(group))
    }
}
