//! Reassembly of IPv4 datagrams (RFC 791, 3.2; RFC 815), bounded in memory and time.
//!
//! Fragments come from anybody, in any order, to any number of datagrams that will never be whole. So all of them together have a limit, past
//! which the oldest datagram goes; and one whose fragments overlap goes at once, for only attackers make such (RFC 5722 for IPv6; Linux
//! does the same for IPv4). smoltcp reassembles inside of its interface only, which this kernel does not use for input.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The longest IP packet.
const MAX_LEN: usize = 65535;
/// What a fragment costs apart from its bytes.
const OVERHEAD: usize = 96;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Identification.
    pub ident: u16,
    /// Protocol.
    pub protocol: u8,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Its IP header.
    pub header: &'a [u8],
    /// What comes after it.
    pub payload: &'a [u8],
    /// Where in the datagram's payload that belongs.
    pub offset: usize,
    /// Whether more come after it.
    pub has_more: bool,
}

/// What a fragment led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Others are missing.
    Waiting,
    /// The whole datagram, after the room that was asked for: the first fragment's header, as it was, and the payload.
    Complete(Vec<u8>),
    /// The fragment makes no sense, or there is no memory: it is dropped, in the first case with all of its datagram.
    Dropped,
}

#[derive(Debug)]
struct Datagram {
    /// Fragments by offset; none overlap.
    pieces: BTreeMap<usize, Vec<u8>>,
    header: Option<Vec<u8>>,
    /// The payload's length, once the last fragment is there.
    total: Option<usize>,
    received: usize,
    cost: usize,
    due_ns: u64,
}

/// Datagrams that are not whole yet.
#[derive(Debug)]
pub struct Assembler {
    datagrams: BTreeMap<Key, Datagram>,
    cost: usize,
    limit: usize,
    patience_ns: u64,
}

impl Assembler {
    /// None yet. They may take `limit` bytes together, and each `patience_ns`.
    pub const fn new(limit: usize, patience_ns: u64) -> Self {
        Self { datagrams: BTreeMap::new(), cost: 0, limit, patience_ns }
    }

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Bytes that they take.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Takes a fragment in. A whole datagram comes with `headroom` zeros in front.
    pub fn add(&mut self, key: Key, fragment: &Fragment<'_>, headroom: usize, now_ns: u64) -> Outcome {
        let end = fragment.offset + fragment.payload.len();
        let is_odd = fragment.has_more && !fragment.payload.len().is_multiple_of(8);
        if fragment.payload.is_empty() || is_odd || end + fragment.header.len() > MAX_LEN {
            return Outcome::Dropped;
        }
        let due_ns = now_ns.saturating_add(self.patience_ns);
        let datagram = self.datagrams.entry(key).or_insert_with(|| Datagram {
            pieces: BTreeMap::new(),
            header: None,
            total: None,
            received: 0,
            cost: 0,
            due_ns,
        });
        match datagram.add(fragment, end) {
            Ok(added) => self.cost += added,
            Err(Misfit::NoMemory) => return Outcome::Dropped,
            Err(Misfit::Overlap) => {
                self.forget(key);
                return Outcome::Dropped;
            }
        }
        let is_whole = datagram.total == Some(datagram.received) && datagram.header.is_some();
        if is_whole {
            let datagram = self.forget(key);
            return match datagram.and_then(|datagram| datagram.join(headroom)) {
                Some(bytes) => Outcome::Complete(bytes),
                None => Outcome::Dropped,
            };
        }
        self.make_room();
        Outcome::Waiting
    }

    /// Lets go of what has waited too long; returns the headers of those whose first fragment came, with the first bytes after them: for them the
    /// sender is told (RFC 792, "time exceeded"; RFC 1122, 3.3.2).
    pub fn expire(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        let due: Vec<Key> = self
            .datagrams
            .iter()
            .filter(|(_, datagram)| now_ns >= datagram.due_ns)
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().filter_map(|key| self.forget(key)?.quote()).collect()
    }

    fn forget(&mut self, key: Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(&key)?;
        self.cost -= datagram.cost;
        Some(datagram)
    }

    fn make_room(&mut self) {
        while self.cost > self.limit {
            let oldest = self.datagrams.iter().min_by_key(|(_, datagram)| datagram.due_ns);
            let Some(key) = oldest.map(|(key, _)| *key) else { break };
            self.forget(key);
        }
    }
}

enum Misfit {
    NoMemory,
    Overlap,
}

impl Datagram {
    /// Keeps a fragment; returns what it costs.
    fn add(&mut self, fragment: &Fragment<'_>, end: usize) -> Result<usize, Misfit> {
        let before = self.pieces.range(..end).next_back();
        if let Some((start, piece)) = before
            && start + piece.len() > fragment.offset
        {
            // The same again is a duplicate, and harmless.
            let is_same = *start == fragment.offset && piece.as_slice() == fragment.payload;
            return if is_same { Ok(0) } else { Err(Misfit::Overlap) };
        }
        let last = self.pieces.last_key_value().map_or(0, |(start, piece)| start + piece.len());
        let contradicts = match self.total {
            Some(total) => !fragment.has_more || end > total,
            None => !fragment.has_more && last > end,
        };
        if contradicts {
            return Err(Misfit::Overlap);
        }
        let piece = copy_of(fragment.payload).ok_or(Misfit::NoMemory)?;
        if fragment.offset == 0 {
            self.header = Some(copy_of(fragment.header).ok_or(Misfit::NoMemory)?);
        }
        if !fragment.has_more {
            self.total = Some(end);
        }
        let cost = piece.len() + OVERHEAD;
        self.received += piece.len();
        self.pieces.insert(fragment.offset, piece);
        self.cost += cost;
        Ok(cost)
    }

    fn join(self, headroom: usize) -> Option<Vec<u8>> {
        let header = self.header?;
        if header.len() + self.received > MAX_LEN {
            return None;
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(headroom + header.len() + self.received).ok()?;
        bytes.resize(headroom, 0);
        bytes.extend_from_slice(&header);
        for piece in self.pieces.values() {
            bytes.extend_from_slice(piece);
        }
        Some(bytes)
    }

    fn quote(self) -> Option<Vec<u8>> {
        let mut bytes = self.header?;
        let (_, first) = self.pieces.first_key_value()?;
        bytes.extend_from_slice(first.get(..8).unwrap_or(first));
        Some(bytes)
    }
}

fn copy_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}
