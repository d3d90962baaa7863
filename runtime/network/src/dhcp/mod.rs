//! The machine's DHCPv4 client (RFC 2131): [`Client`] is the state machine without a socket or clock, [`Socket`] carries its
//! messages. The format is smoltcp's.
//!
//! The server is on the host's network and untrusted: what it offers is checked before it is used.

mod message;
mod socket;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

use crate::Mac;
use message::{Answer, Kind};
pub use socket::{Change, Socket};

/// Before an answer is missed for the first time; each further one is waited for twice as long, up to a limit.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(64);

/// A lease is asked for anew so often at most (RFC 2131, 4.4.5).
const RENEW_PAUSE: Duration = Duration::from_secs(60);

/// An offer that is not confirmed after so many requests is given up.
const REQUESTS: u32 = 3;

const SERVER_PORT: u16 = 67;

/// What a server has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Net,
    pub gateway: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub server: Ipv4Addr,
    pub duration: Duration,
    renew: Duration,
    rebind: Duration,
}

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Send { to: SocketAddrV4, bytes: Vec<u8> },
    /// The lease has run out: the address is somebody else's from now on.
    Lost(Lease),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has offered anything yet.
    Selecting,
    /// An offer was taken and is not yet confirmed, after so many requests.
    Requesting { address: Ipv4Addr, server: Ipv4Addr, sent: u32 },
    /// There is a lease, since then.
    Bound { lease: Lease, since: Instant },
}

/// The client for one link.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    transaction: u32,
    state: State,
    start: Instant,
    /// When something has to be done next.
    next: Instant,
    wait: Duration,
}

impl Client {
    /// Begins now. `transaction` is a random number.
    #[must_use]
    pub fn new(mac: Mac, transaction: u32, now: Instant) -> Self {
        Self { mac, transaction, state: State::Selecting, start: now, next: now, wait: FIRST_WAIT }
    }

    /// When [`Self::poll`] has something to do, unless a message comes before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// The lease, if there is one.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound { lease, .. } => Some(lease),
            _ => None,
        }
    }

    /// What is to be done now; to be called until there is nothing.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        if now < self.next {
            return None;
        }
        let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        let secs = u16::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u16::MAX);
        match &mut self.state {
            State::Selecting => {
                self.next = now + self.wait;
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                Some(self.send(broadcast, secs, Kind::Discover))
            }
            State::Requesting { sent, .. } if *sent >= REQUESTS => {
                self.restart(now);
                self.poll(now)
            }
            State::Requesting { address, server, sent } => {
                *sent += 1;
                self.next = now + FIRST_WAIT;
                let kind = Kind::Request { address: *address, server: *server };
                Some(self.send(broadcast, secs, kind))
            }
            State::Bound { lease, since } => {
                let age = now.saturating_duration_since(*since);
                let Some(left) = lease.duration.checked_sub(age).filter(|left| !left.is_zero()) else {
                    let lease = lease.clone();
                    self.restart(now);
                    return Some(Action::Lost(lease));
                };
                let (to, until) = match lease.rebind.checked_sub(age) {
                    Some(until) if !until.is_zero() => (SocketAddrV4::new(lease.server, SERVER_PORT), until),
                    _ => (broadcast, left),
                };
                // Half of what is left, but not too often, and the end is not slept through.
                self.next = now + (until / 2).max(RENEW_PAUSE).min(until);
                let kind = Kind::Renew { address: lease.address.addr() };
                Some(self.send(to, secs, kind))
            }
        }
    }

    /// Takes a message from the network. A lease, when it brings one that is new or changed.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> Option<Lease> {
        match (message::parse(bytes, self.mac, self.transaction)?, &self.state) {
            (Answer::Offer { address, server }, State::Selecting) => {
                self.state = State::Requesting { address, server, sent: 0 };
                self.next = now;
                None
            }
            (Answer::Ack(lease), State::Requesting { .. }) => {
                self.bind(lease.clone(), now);
                Some(lease)
            }
            (Answer::Ack(lease), State::Bound { lease: old, .. }) => {
                let is_same =
                    old.address == lease.address && old.gateway == lease.gateway && old.dns == lease.dns;
                self.bind(lease.clone(), now);
                (!is_same).then_some(lease)
            }
            // The address stays until it is given back by the lease's end: connections may still be on it.
            (Answer::Nak, State::Requesting { .. }) => {
                self.restart(now);
                None
            }
            (Answer::Nak, State::Bound { lease, since }) => {
                let lease = Lease { duration: Duration::ZERO, ..lease.clone() };
                self.state = State::Bound { lease, since: *since };
                self.next = now;
                None
            }
            _ => None,
        }
    }

    fn bind(&mut self, lease: Lease, now: Instant) {
        self.next = now + lease.renew;
        self.state = State::Bound { lease, since: now };
    }

    fn restart(&mut self, now: Instant) {
        // Another number, so that late answers to the old questions are not taken for new ones.
        self.transaction = self.transaction.wrapping_add(1);
        self.state = State::Selecting;
        (self.start, self.next, self.wait) = (now, now, FIRST_WAIT);
    }

    fn send(&self, to: SocketAddrV4, secs: u16, kind: Kind) -> Action {
        Action::Send { to, bytes: message::emit(self.mac, self.transaction, secs, kind) }
    }
}
