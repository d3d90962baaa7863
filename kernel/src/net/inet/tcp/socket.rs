//! The socket itself.

use super::endpoint::{Endpoint, Phase, Way};
use super::remote::Remote;
use super::{connect, listener, local, options, receive, send};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::net::inet::address;
use crate::net::message::{Incoming, Outgoing, ReceiveHow, Sink, Source};
use crate::net::ns::NetNs;
use crate::net::options::OptionValue;
use crate::net::{Kind, Options, Shutdown, Socket, ioctl};
use crate::thread::{Thread, wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::inet::{AF_INET, IPPROTO_TCP};
use coffer_abi_types::net::ucred;
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::timer::now_ns;

/// A socket. When it goes, the connection ends.
#[derive(Debug)]
pub struct TcpSocket {
    endpoint: Arc<Endpoint>,
    /// A connection that nobody has accepted does not end in peace.
    is_accepted: AtomicBool,
}

impl TcpSocket {
    /// Neither bound nor connected.
    pub fn new(ns: Arc<NetNs>) -> Arc<Self> {
        Arc::new(Self { endpoint: Endpoint::new(ns), is_accepted: AtomicBool::new(true) })
    }

    /// A connection for a listener's backlog.
    pub(super) fn accepted(endpoint: Arc<Endpoint>) -> Arc<Self> {
        Arc::new(Self { endpoint, is_accepted: AtomicBool::new(false) })
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn set_accepted(&self) {
        self.is_accepted.store(true, Ordering::Relaxed);
    }

    fn end_directions(&self, how: Shutdown) {
        let endpoint = &self.endpoint;
        let ends_writing = endpoint.shut(how);
        let way = endpoint.inner.lock().way.clone();
        match way {
            Way::Local(peer) if ends_writing => local::end_direction(endpoint, &peer),
            Way::Remote(remote) if ends_writing => remote.end_direction(),
            _ => {}
        }
        endpoint.announce_change();
    }
}

impl Socket for TcpSocket {
    fn family(&self) -> u16 {
        AF_INET
    }

    fn kind(&self) -> Kind {
        Kind::Stream
    }

    fn protocol(&self) -> u32 {
        IPPROTO_TCP
    }

    fn options(&self) -> &Options {
        &self.endpoint.options
    }

    fn bind(&self, address: &[u8], thread: &Thread) -> Result<()> {
        connect::bind(&self.endpoint, address, thread)
    }

    fn listen(&self, backlog: usize, _thread: &Thread) -> Result<()> {
        listener::listen(&self.endpoint, backlog)
    }

    fn connect(&self, address: &[u8], is_nonblocking: bool, _thread: &Thread) -> Result<()> {
        connect::connect(&self.endpoint, address, is_nonblocking)
    }

    fn accept(&self, is_nonblocking: bool) -> Result<Arc<dyn Socket>> {
        Ok(listener::accept(&self.endpoint, is_nonblocking)?)
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address::to_bytes(self.endpoint.inner.lock().local))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        match self.endpoint.phase() {
            Phase::Connected => Ok(self.accepted_from()),
            _ => Err(Errno::ENOTCONN.into()),
        }
    }

    fn accepted_from(&self) -> Vec<u8> {
        address::to_bytes(self.endpoint.inner.lock().peer)
    }

    fn peer_credentials(&self) -> Result<ucred> {
        Ok(ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })
    }

    fn send(&self, source: &mut dyn Source, message: Outgoing<'_>) -> Result<usize> {
        send::send(&self.endpoint, source, &message)
    }

    fn receive(&self, sink: &mut dyn Sink, how: ReceiveHow) -> Result<Incoming> {
        receive::receive(&self.endpoint, sink, how)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        let _control = self.endpoint.control.lock();
        match self.endpoint.phase() {
            Phase::Listening if how == Shutdown::Write => {}
            Phase::Listening | Phase::Connecting => connect::abandon(&self.endpoint),
            Phase::Connected => self.end_directions(how),
            Phase::Closed => {
                self.endpoint.shut(how);
                self.endpoint.announce_change();
                return Err(Errno::ENOTCONN.into());
            }
        }
        Ok(())
    }

    fn is_listening(&self) -> bool {
        self.endpoint.phase() == Phase::Listening
    }

    fn take_error(&self) -> Option<Errno> {
        self.endpoint.take_error()
    }

    fn option(&self, level: u32, name: u32) -> Result<OptionValue> {
        options::get(&self.endpoint, level, name)
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        options::set(&self.endpoint, level, name, value)
    }

    fn ioctl(&self, command: u32, argument: usize, context: &mut Context<'_>) -> Result<isize> {
        ioctl::link_ioctl(command, argument, context)
    }

    fn unread_bytes(&self) -> usize {
        self.endpoint.unread()
    }

    fn unsent_bytes(&self) -> usize {
        self.endpoint.unsent()
    }

    fn poll(&self) -> IoEvents {
        self.endpoint.events()
    }

    fn pollee(&self) -> &Pollee {
        &self.endpoint.pollee
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        let endpoint = &self.endpoint;
        let linger = endpoint.options.linger();
        let is_abort = !*self.is_accepted.get_mut() || linger.l_onoff != 0 && linger.l_linger == 0;
        let mut inner = endpoint.inner.lock();
        inner.is_gone = true;
        let way = inner.way.clone();
        drop(inner);
        match way {
            Way::None => {}
            Way::Listening(_) => listener::stop(endpoint),
            Way::Waiting(listener) => {
                listener.forget(endpoint);
                endpoint.finish(None);
            }
            Way::Local(peer) => local::close(endpoint, &peer, is_abort),
            Way::Remote(remote) => close_remote(endpoint, &remote, is_abort),
        }
        let mut inner = endpoint.inner.lock();
        // One by links holds its port until it has ended.
        let binding = if matches!(inner.way, Way::Remote(_)) { None } else { inner.binding.take() };
        drop(inner);
        drop(binding);
    }
}

/// Ends a connection by links: at once, or in the background, waiting for it as long as SO_LINGER says.
fn close_remote(endpoint: &Endpoint, remote: &Remote, is_abort: bool) {
    if is_abort || endpoint.phase() != Phase::Connected || endpoint.unread() > 0 {
        remote.reset();
        return;
    }
    endpoint.shut(Shutdown::Both);
    remote.orphan();
    let linger = endpoint.options.linger();
    if linger.l_onoff != 0 {
        let deadline_ns =
            now_ns().saturating_add(u64::from(linger.l_linger.max(0).cast_unsigned()) * 1_000_000_000);
        let is_done = || (endpoint.phase() == Phase::Closed || remote.is_all_acknowledged()).then_some(());
        // Whatever ends the waiting, the connection goes on without it.
        let _ = wait::wait_until(&endpoint.writable, Some(deadline_ns), is_done);
    }
}
