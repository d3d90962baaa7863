//! What a network namespace knows of TCP: ports, listeners, connections, and ports that wait after a connection.

use super::endpoint::Endpoint;
use crate::error::Result;
use crate::net::inet::bind;
use crate::net::inet::port::{Binding, Claim, Ports, Protocol, Standing};
use crate::net::ns::NetNs;
use crate::net::report::{Report, State, Timer};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use ostd::sync::SpinLock;
use ostd::timer::now_ns;

/// How long a port waits (TIME-WAIT of RFC 9293; Linux waits a minute).
const WAIT_NS: u64 = 60_000_000_000;
/// The most ports that wait; the oldest stop when there are more.
const WAITING_MAX: usize = 4096;

/// Local and remote address of a connection.
pub type Tuple = (SocketAddrV4, SocketAddrV4);

/// See the module.
#[derive(Debug)]
pub struct Tables {
    /// Who has which port.
    pub ports: Arc<Ports>,
    listeners: SpinLock<BTreeMap<u16, Vec<Arc<Endpoint>>>>,
    connections: SpinLock<BTreeMap<Tuple, Arc<Endpoint>>>,
    waiting: SpinLock<VecDeque<Waiting>>,
    /// Their addresses.
    waiting_tuples: SpinLock<BTreeSet<Tuple>>,
}

/// A port after a connection, oldest first.
#[derive(Debug)]
struct Waiting {
    tuple: Tuple,
    until_ns: u64,
    _binding: Binding,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            ports: Ports::new(Protocol::Tcp),
            listeners: SpinLock::default(),
            connections: SpinLock::default(),
            waiting: SpinLock::default(),
            waiting_tuples: SpinLock::default(),
        }
    }
}

impl Tables {
    /// A share in `port`, or in one of the kernel's choice for 0.
    ///
    /// # Errors
    /// EADDRINUSE.
    pub fn claim(&self, ns: &NetNs, port: u16, claim: Claim) -> Result<Binding> {
        let attempt = || match port {
            0 => self.ports.claim_any(&bind::ephemeral_ports(ns), claim),
            _ => self.ports.claim(port, claim),
        };
        attempt().or_else(|_| {
            // What was waited for may be over.
            self.sweep();
            attempt()
        })
    }

    /// Makes a listener known.
    pub fn add_listener(&self, port: u16, endpoint: &Arc<Endpoint>) {
        self.listeners.lock().entry(port).or_default().push(endpoint.clone());
    }

    /// It listens no more.
    pub fn remove_listener(&self, port: u16, endpoint: &Endpoint) {
        let mut listeners = self.listeners.lock();
        let Some(of_port) = listeners.get_mut(&port) else { return };
        let at = of_port.iter().position(|other| core::ptr::eq(&raw const **other, endpoint));
        let gone = at.map(|at| of_port.remove(at));
        if of_port.is_empty() {
            listeners.remove(&port);
        }
        drop(listeners);
        drop(gone);
    }

    /// Who listens at `to` on `link`: a listener of that address before one of all, a listener of that link before one of all; among
    /// equals, who share the port by SO_REUSEPORT, the peer's address decides.
    pub fn find_listener(&self, to: SocketAddrV4, link: u32, from: SocketAddrV4) -> Option<Arc<Endpoint>> {
        let listeners = self.listeners.lock();
        let score = |endpoint: &Endpoint| {
            let address = *endpoint.inner.lock().local.ip();
            let bound_link = endpoint.ip.lock().link;
            let is_for =
                (address.is_unspecified() || address == *to.ip()) && (bound_link == 0 || bound_link == link);
            is_for.then(|| u8::from(!address.is_unspecified()) * 2 + u8::from(bound_link != 0))
        };
        let of_port = listeners.get(&to.port())?;
        let best = of_port.iter().filter_map(|endpoint| score(endpoint)).max()?;
        let equals = || of_port.iter().filter(|endpoint| score(endpoint) == Some(best));
        let turn = spread(to, from) % equals().count();
        equals().nth(turn).cloned()
    }

    /// Makes a connection known; `false` if there is one with the same addresses.
    pub fn add_connection(&self, tuple: Tuple, endpoint: &Arc<Endpoint>) -> bool {
        let mut connections = self.connections.lock();
        let is_free = !connections.contains_key(&tuple);
        if is_free {
            connections.insert(tuple, endpoint.clone());
        }
        is_free
    }

    /// The connection with these addresses.
    pub fn connection(&self, tuple: &Tuple) -> Option<Arc<Endpoint>> {
        self.connections.lock().get(tuple).cloned()
    }

    /// Whether a port waits after a connection with these addresses.
    pub fn is_waiting(&self, tuple: &Tuple) -> bool {
        self.waiting_tuples.lock().contains(tuple)
    }

    /// A new connection with the addresses of one after which a port waits has come (RFC 9293, 3.10.7.4).
    pub fn stop_waiting(&self, tuple: &Tuple) {
        self.waiting_tuples.lock().remove(tuple);
    }

    /// Whether there is a connection with these addresses.
    pub fn has_connection(&self, tuple: &Tuple) -> bool {
        self.connections.lock().contains_key(tuple)
    }

    /// A connection is no more, if it is still `endpoint`'s.
    pub fn forget_connection(&self, tuple: Tuple, endpoint: &Endpoint) {
        let mut connections = self.connections.lock();
        let is_its = connections.get(&tuple).is_some_and(|other| core::ptr::eq(&raw const **other, endpoint));
        let gone = if is_its { connections.remove(&tuple) } else { None };
        drop(connections);
        drop(gone);
    }

    /// Keeps a port for a while after a connection.
    pub fn wait(&self, tuple: Tuple, mut binding: Binding) {
        binding.set_standing(Standing::Waiting);
        self.sweep();
        let mut waiting = self.waiting.lock();
        let oldest = if waiting.len() >= WAITING_MAX { waiting.pop_front() } else { None };
        let mut tuples = self.waiting_tuples.lock();
        if let Some(oldest) = &oldest {
            tuples.remove(&oldest.tuple);
        }
        tuples.insert(tuple);
        drop(tuples);
        waiting.push_back(Waiting { tuple, until_ns: now_ns() + WAIT_NS, _binding: binding });
        drop(waiting);
        drop(oldest);
    }

    /// Frees ports that have waited long enough.
    fn sweep(&self) {
        let now_ns = now_ns();
        loop {
            let mut waiting = self.waiting.lock();
            let is_over = waiting.front().is_some_and(|first| first.until_ns <= now_ns);
            let gone = if is_over { waiting.pop_front() } else { None };
            drop(waiting);
            let Some(gone) = gone else { return };
            self.waiting_tuples.lock().remove(&gone.tuple);
        }
    }
}

/// All TCP sockets of a namespace that are bound to something: listeners, connections, and what waits.
pub fn report(ns: &NetNs) -> Vec<Report> {
    let tables = &ns.inet.tcp;
    tables.sweep();
    let mut endpoints: Vec<Arc<Endpoint>> = tables.listeners.lock().values().flatten().cloned().collect();
    endpoints.extend(tables.connections.lock().values().cloned());
    let mut reports: Vec<Report> = endpoints.iter().map(|endpoint| endpoint.report()).collect();
    reports.extend(tables.waiting.lock().iter().map(|waiting| Report {
        local: waiting.tuple.0,
        remote: waiting.tuple.1,
        state: State::TimeWait,
        receive_queue: 0,
        send_queue: 0,
        timer: Timer::TimeWait,
        timer_ns: waiting.until_ns,
        retransmits: 0,
        link: 0,
        drops: 0,
        identity: crate::net::options::Identity::default(),
    }));
    reports
}

/// The same for the same two addresses, and otherwise well spread.
fn spread(to: SocketAddrV4, from: SocketAddrV4) -> usize {
    let words = [to.ip().to_bits(), u32::from(to.port()), from.ip().to_bits(), u32::from(from.port())];
    // Multiplication by the golden ratio (Knuth, TAOCP 6.4), after each word.
    words.iter().fold(0_u64, |hash, word| {
        (hash ^ u64::from(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }) as usize
}
