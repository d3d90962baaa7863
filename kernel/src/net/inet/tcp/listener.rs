//! Listening: connections that wait to be accepted, and those for which there is no room yet.

use super::endpoint::{Endpoint, Phase, Progress, Way};
use super::local;
use super::socket::TcpSocket;
use crate::error::{Errno, Error, Result};
use crate::net::inet::bind;
use crate::net::inet::port::Standing;
use crate::net::socket::interrupted;
use crate::thread::wait;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use coffer_abi_types::net::{SO_REUSEADDR, SO_REUSEPORT};
use core::net::SocketAddrV4;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// The most sockets of this machine that wait for room in one backlog.
const WAITING_MAX: usize = 4096;
/// How many connections by links may be made at the same time, if the backlog is not longer: those that come at once all have a chance to be
/// made. Each takes the memory of a whole connection.
const BEGINNING_MIN: usize = 64;
/// When beginnings are looked through for those that are none any more.
const HALF_OPEN_SWEEP: usize = 1024;

/// A listener's backlog.
#[derive(Debug)]
pub struct Listener {
    queue: SpinLock<Queue>,
    len: AtomicUsize,
    max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Arc<TcpSocket>>,
    /// Places for connections of this machine that are being made.
    reserved: usize,
    /// How many connections by links are being made. They are not part of the backlog yet (listen(2)).
    beginning: usize,
    /// Local sockets that connect, for which there was no room: as if their SYN had been dropped, and they sent it again at the right moment.
    waiting: VecDeque<Arc<Endpoint>>,
    /// Connections by links that have a place and are being made, oldest first.
    half_open: VecDeque<Weak<Endpoint>>,
    is_closed: bool,
}

/// Where a connection that is being made comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This machine.
    Local,
    /// A link.
    Remote,
}

/// What a backlog says to one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is a place, which is kept.
    Granted,
    /// It has to wait, and will be called.
    Later,
    /// Nobody listens any more.
    Refused,
}

impl Listener {
    fn new(max: usize) -> Self {
        Self { queue: SpinLock::default(), len: AtomicUsize::new(0), max: AtomicUsize::new(max) }
    }

    /// Connections to accept.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The backlog that listen(2) asked for.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }

    /// Asks for a place for a local socket.
    pub fn admit(self: &Arc<Self>, client: &Arc<Endpoint>) -> Admission {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Admission::Refused;
        }
        // One more than the backlog may wait, as Linux counts.
        if queue.ready.len() + queue.reserved <= self.max() {
            queue.reserved += 1;
            return Admission::Granted;
        }
        if queue.waiting.len() >= WAITING_MAX {
            return Admission::Refused;
        }
        client.inner.lock().way = Way::Waiting(self.clone());
        queue.waiting.push_back(client.clone());
        Admission::Later
    }

    /// Asks for a place for a connection by links. While the backlog is full, its SYN is dropped. When too many are being made, the oldest of
    /// them loses its place: who floods a listener with beginnings must not keep others out.
    pub fn admit_remote(&self) -> Admission {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Admission::Refused;
        }
        if queue.ready.len() + queue.reserved > self.max() {
            return Admission::Later;
        }
        if queue.beginning < self.max().max(BEGINNING_MIN) {
            queue.beginning += 1;
            return Admission::Granted;
        }
        let oldest = queue.half_open.pop_front();
        drop(queue);
        let oldest =
            oldest.and_then(|oldest| oldest.upgrade()).filter(|oldest| oldest.phase() == Phase::Connecting);
        if let Some(remote) = oldest.and_then(|oldest| oldest.remote()) {
            remote.reset();
        }
        Admission::Later
    }

    /// Remembers a connection by links that has a place and is being made.
    pub fn note_half_open(&self, endpoint: &Arc<Endpoint>) {
        let mut queue = self.queue.lock();
        queue.half_open.push_back(Arc::downgrade(endpoint));
        if queue.half_open.len() > HALF_OPEN_SWEEP {
            queue
                .half_open
                .retain(|other| other.upgrade().is_some_and(|other| other.phase() == Phase::Connecting));
        }
    }

    /// Puts a connection into its place; it comes back if nobody listens any more.
    pub fn fill(
        &self,
        origin: Origin,
        connection: Option<Arc<TcpSocket>>,
    ) -> core::result::Result<(), Arc<TcpSocket>> {
        let mut queue = self.queue.lock();
        match origin {
            Origin::Local => queue.reserved -= 1,
            Origin::Remote => queue.beginning -= 1,
        }
        let Some(connection) = connection else { return Ok(()) };
        if queue.is_closed {
            return Err(connection);
        }
        queue.ready.push_back(connection);
        self.len.store(queue.ready.len(), Ordering::SeqCst);
        Ok(())
    }

    /// A socket that waits for room does so no more.
    pub fn forget(&self, client: &Endpoint) {
        let mut queue = self.queue.lock();
        let at = queue.waiting.iter().position(|other| core::ptr::eq(&raw const **other, client));
        let gone = at.and_then(|at| queue.waiting.remove(at));
        drop(queue);
        drop(gone);
    }

    fn pop(&self) -> Option<Arc<TcpSocket>> {
        let mut queue = self.queue.lock();
        let connection = queue.ready.pop_front();
        self.len.store(queue.ready.len(), Ordering::SeqCst);
        connection
    }

    /// Takes out who has waited longest, if there is a place, which is kept.
    fn call(&self) -> Option<Arc<Endpoint>> {
        let mut queue = self.queue.lock();
        if queue.is_closed || queue.ready.len() + queue.reserved > self.max() {
            return None;
        }
        let client = queue.waiting.pop_front()?;
        queue.reserved += 1;
        Some(client)
    }

    /// Nobody listens any more: connections that were not accepted are reset, those to come refused.
    pub fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let (ready, waiting) = (core::mem::take(&mut queue.ready), core::mem::take(&mut queue.waiting));
        self.len.store(0, Ordering::SeqCst);
        drop(queue);
        drop(ready);
        for client in waiting {
            client.finish(Some(Errno::ECONNREFUSED));
        }
    }
}

/// listen(2).
pub fn listen(endpoint: &Arc<Endpoint>, backlog: usize) -> Result<()> {
    let _control = endpoint.control.lock();
    if let Way::Listening(listener) = &endpoint.inner.lock().way {
        listener.max.store(backlog, Ordering::SeqCst);
        return Ok(());
    }
    let is_fresh = endpoint.inner.lock().progress == Progress::Unconnected;
    if endpoint.phase() != Phase::Closed || !is_fresh {
        return Err(Errno::EINVAL.into());
    }
    let tables = &endpoint.ns.inet.tcp;
    let options = &endpoint.options;
    let bound = endpoint.inner.lock().binding.is_some();
    if !bound {
        let link = endpoint.ip.lock().link;
        let address = *endpoint.inner.lock().local.ip();
        let binding = tables.claim(&endpoint.ns, 0, bind::claim(options, link, address, Standing::Bound))?;
        let mut inner = endpoint.inner.lock();
        inner.local.set_port(binding.port());
        inner.binding = Some(binding);
    }
    let mut inner = endpoint.inner.lock();
    let binding = inner.binding.as_mut().ok_or(Error::new(Errno::EADDRINUSE))?;
    binding.listen(options.is_on(SO_REUSEADDR), options.is_on(SO_REUSEPORT))?;
    let port = binding.port();
    inner.way = Way::Listening(Arc::new(Listener::new(backlog)));
    drop(inner);
    endpoint.set_phase(Phase::Listening);
    tables.add_listener(port, endpoint);
    endpoint.announce_change();
    Ok(())
}

/// It listens no more.
pub fn stop(endpoint: &Endpoint) {
    let mut inner = endpoint.inner.lock();
    let port = inner.local.port();
    let Way::Listening(listener) = core::mem::replace(&mut inner.way, Way::None) else { return };
    drop(inner);
    endpoint.ns.inet.tcp.remove_listener(port, endpoint);
    listener.close();
}

/// accept(2).
pub fn accept(endpoint: &Endpoint, is_nonblocking: bool) -> Result<Arc<TcpSocket>> {
    let Way::Listening(listener) = endpoint.inner.lock().way.clone() else {
        return Err(Errno::EINVAL.into());
    };
    let deadline_ns = endpoint.options.receive_deadline_ns();
    loop {
        if let Some(connection) = listener.pop() {
            call_waiting(endpoint, &listener);
            connection.set_accepted();
            return Ok(connection);
        }
        if endpoint.phase() != Phase::Listening {
            return Err(Errno::EINVAL.into());
        }
        if is_nonblocking {
            return Err(Errno::EAGAIN.into());
        }
        let is_ready = || (!listener.is_empty() || endpoint.phase() != Phase::Listening).then_some(());
        wait::wait_until(&endpoint.readable, deadline_ns, is_ready)
            .map_err(|error| interrupted(error, deadline_ns))?;
    }
}

/// There may be room: who waits for it is connected.
fn call_waiting(endpoint: &Endpoint, listener: &Arc<Listener>) {
    while let Some(client) = listener.call() {
        let to: SocketAddrV4 = client.inner.lock().peer;
        local::join(endpoint, listener, &client, to);
    }
}
