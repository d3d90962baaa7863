//! Who has which port: [`Ports`], one of them for each protocol and network namespace. A [`Binding`] is a share in a port, given back when it is
//! dropped.
//!
//! Connections that a listener has accepted share its port, thousands of them with equal [`Claim`]s: a port counts equal claims.

use crate::error::{Errno, Result};
use crate::random;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;
use ostd::sync::SpinLock;

/// Whose rules of sharing hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Listeners share with nobody but by SO_REUSEPORT.
    Tcp,
    /// SO_REUSEADDR is enough.
    Udp,
}

/// What a port is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Bound, or connected after that.
    Bound,
    /// Listening.
    Listening,
    /// Chosen by the kernel for one connection: others to other peers may share it.
    Connected,
    /// After the end of a connection (RFC 9293, TIME-WAIT).
    Waiting,
}

/// Somebody's share in a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The local address, or 0.0.0.0 for all.
    pub address: Ipv4Addr,
    /// SO_BINDTODEVICE, or 0 for all links.
    pub link: u32,
    /// Whose socket it is.
    pub uid: u32,
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// What for.
    pub standing: Standing,
}

/// The ports of a protocol.
#[derive(Debug)]
pub struct Ports {
    protocol: Protocol,
    table: SpinLock<BTreeMap<u16, Vec<(Claim, usize)>>>,
}

/// A share in a port.
#[derive(Debug)]
pub struct Binding {
    ports: Arc<Ports>,
    port: u16,
    claim: Claim,
}

impl Claim {
    fn overlaps(&self, other: &Self) -> bool {
        let is_any = self.address.is_unspecified() || other.address.is_unspecified();
        (is_any || self.address == other.address)
            && (self.link == 0 || other.link == 0 || self.link == other.link)
    }

    /// Whether both have SO_REUSEPORT, which is among sockets of one user only.
    fn may_share_port(&self, other: &Self) -> bool {
        let is_trusted = other.standing == Standing::Waiting || self.uid == other.uid;
        self.reuse_port && other.reuse_port && is_trusted
    }

    /// Whether it cannot hold a port together with `other`, who has it.
    fn conflicts(&self, other: &Self, protocol: Protocol) -> bool {
        let has_listener = other.standing == Standing::Listening && protocol == Protocol::Tcp;
        let may_share_address = self.reuse_address && other.reuse_address && !has_listener;
        self.overlaps(other) && !may_share_address && !self.may_share_port(other)
    }
}

impl Ports {
    /// All free.
    pub fn new(protocol: Protocol) -> Arc<Self> {
        Arc::new(Self { protocol, table: SpinLock::new(BTreeMap::new()) })
    }

    /// A share in `port`.
    ///
    /// # Errors
    /// EADDRINUSE.
    pub fn claim(self: &Arc<Self>, port: u16, claim: Claim) -> Result<Binding> {
        let mut table = self.table.lock();
        let holders = table.entry(port).or_default();
        if holders.iter().any(|(other, _)| claim.conflicts(other, self.protocol)) {
            return Err(Errno::EADDRINUSE.into());
        }
        add(holders, claim);
        drop(table);
        Ok(Binding { ports: self.clone(), port, claim })
    }

    /// A port of `range` that nobody has, at least not with an overlapping address.
    ///
    /// # Errors
    /// EADDRINUSE if there is none.
    pub fn claim_any(self: &Arc<Self>, range: &RangeInclusive<u16>, claim: Claim) -> Result<Binding> {
        let is_free = |holders: &[(Claim, usize)]| !holders.iter().any(|(other, _)| claim.overlaps(other));
        self.choose(range, claim, is_free, |_| true).ok_or(Errno::EADDRINUSE.into())
    }

    /// A port for one connection: one that nobody has, or that only other such connections have, if `is_unique` says that the connection is
    /// told apart from them by its peer.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if there is none.
    pub fn claim_for_connection(
        self: &Arc<Self>,
        range: &RangeInclusive<u16>,
        claim: Claim,
        is_unique: impl Fn(u16) -> bool,
    ) -> Result<Binding> {
        let may_share = |holders: &[(Claim, usize)]| {
            let is_passing =
                |other: &Claim| matches!(other.standing, Standing::Connected | Standing::Waiting);
            holders.iter().all(|(other, _)| is_passing(other))
        };
        let claim = Claim { standing: Standing::Connected, ..claim };
        self.choose(range, claim, may_share, is_unique).ok_or(Errno::EADDRNOTAVAIL.into())
    }

    /// Starts at a random port (RFC 6056), and goes through all.
    fn choose(
        self: &Arc<Self>,
        range: &RangeInclusive<u16>,
        claim: Claim,
        fits: impl Fn(&[(Claim, usize)]) -> bool,
        is_unique: impl Fn(u16) -> bool,
    ) -> Option<Binding> {
        let count = u32::from(range.end() - range.start()) + 1;
        let mut bytes = [0; 4];
        random::fill(&mut bytes);
        let first = u32::from_ne_bytes(bytes) % count;
        for step in 0..count {
            let port = range.start() + ((first + step) % count) as u16;
            let mut table = self.table.lock();
            if table.get(&port).is_none_or(|holders| fits(holders)) && is_unique(port) {
                add(table.entry(port).or_default(), claim);
                drop(table);
                return Some(Binding { ports: self.clone(), port, claim });
            }
        }
        None
    }

    /// Whether somebody has `port` of `address`, or of all addresses.
    pub fn is_held(&self, address: Ipv4Addr, port: u16) -> bool {
        let table = self.table.lock();
        let reaches = |claim: &Claim| claim.address.is_unspecified() || claim.address == address;
        table.get(&port).is_some_and(|holders| holders.iter().any(|(claim, _)| reaches(claim)))
    }

    fn release(&self, port: u16, claim: &Claim) {
        let mut table = self.table.lock();
        let Some(holders) = table.get_mut(&port) else { return };
        remove(holders, claim);
        if holders.is_empty() {
            table.remove(&port);
        }
    }
}

impl Binding {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it was taken for.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Another share in the same port, which nobody can refuse: that of an accepted connection.
    pub fn share(&self, claim: Claim) -> Self {
        add(self.ports.table.lock().entry(self.port).or_default(), claim);
        Self { ports: self.ports.clone(), port: self.port, claim }
    }

    /// Holds the port for something else from now on, whoever else has it.
    pub fn set_standing(&mut self, standing: Standing) {
        let claim = Claim { standing, ..self.claim };
        let mut table = self.ports.table.lock();
        if let Some(holders) = table.get_mut(&self.port) {
            remove(holders, &self.claim);
            add(holders, claim);
        }
        drop(table);
        self.claim = claim;
    }

    /// Holds it for listening, with the switches as they are now.
    ///
    /// # Errors
    /// EADDRINUSE if another socket that shares the port listens already.
    pub fn listen(&mut self, reuse_address: bool, reuse_port: bool) -> Result<()> {
        let claim = Claim { standing: Standing::Listening, reuse_address, reuse_port, ..self.claim };
        let mut table = self.ports.table.lock();
        let Some(holders) = table.get_mut(&self.port) else { return Err(Errno::EADDRINUSE.into()) };
        remove(holders, &self.claim);
        let is_taken = holders.iter().any(|(other, _)| claim.conflicts(other, self.ports.protocol));
        add(holders, if is_taken { self.claim } else { claim });
        drop(table);
        if is_taken {
            return Err(Errno::EADDRINUSE.into());
        }
        self.claim = claim;
        Ok(())
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.ports.release(self.port, &self.claim);
    }
}

fn add(holders: &mut Vec<(Claim, usize)>, claim: Claim) {
    match holders.iter_mut().find(|(other, _)| *other == claim) {
        Some((_, count)) => *count += 1,
        None => holders.push((claim, 1)),
    }
}

fn remove(holders: &mut Vec<(Claim, usize)>, claim: &Claim) {
    if let Some(at) = holders.iter().position(|(other, _)| other == claim) {
        holders[at].1 -= 1;
        if holders[at].1 == 0 {
            holders.swap_remove(at);
        }
    }
}
