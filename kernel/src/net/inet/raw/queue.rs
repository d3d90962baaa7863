//! What has arrived and was not read yet, of packets.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// A packet, as its reader gets it.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who sent it.
    pub from: Ipv4Addr,
    /// Whom to.
    pub to: Ipv4Addr,
    /// The link that it came in by.
    pub link: u32,
    /// What was left of its time to live.
    pub ttl: u8,
}

/// Packets in order.
#[derive(Debug, Default)]
pub struct Queue {
    packets: SpinLock<VecDeque<Arrived>>,
    charge: AtomicUsize,
    drops: AtomicU32,
}

/// What a packet counts for beside its bytes.
const OVERHEAD: usize = 256;

impl Queue {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.charge() == 0
    }

    /// What is there counts for so much.
    pub fn charge(&self) -> usize {
        self.charge.load(Ordering::SeqCst)
    }

    /// How many found no room.
    pub fn drops(&self) -> u32 {
        self.drops.load(Ordering::Relaxed)
    }

    /// Bytes of the first.
    pub fn first_len(&self) -> usize {
        self.packets.lock().front().map_or(0, |packet| packet.bytes.len())
    }

    /// Adds one if there is room by `limit`.
    pub fn push(&self, packet: Arrived, limit: usize) -> bool {
        let mut packets = self.packets.lock();
        if self.charge() > limit || packets.try_reserve(1).is_err() {
            self.drops.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.charge.fetch_add(packet.bytes.len() + OVERHEAD, Ordering::SeqCst);
        packets.push_back(packet);
        true
    }

    /// Takes the first; with `is_peek` it stays.
    pub fn next(&self, is_peek: bool) -> Option<Arrived> {
        let mut packets = self.packets.lock();
        if is_peek {
            return packets.front().cloned();
        }
        let packet = packets.pop_front()?;
        self.charge.fetch_sub(packet.bytes.len() + OVERHEAD, Ordering::SeqCst);
        Some(packet)
    }
}
