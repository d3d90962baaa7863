//! What has arrived for a socket and was not read yet.

use super::packet::Packet;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::{Mutex, MutexGuard};

/// Packets in order. The counts beside them are for poll and for sleepers, who must not take a sleeping lock.
#[derive(Debug)]
pub struct Inbox {
    packets: Mutex<VecDeque<Packet>>,
    count: AtomicUsize,
    charge: AtomicUsize,
    /// Bytes to read, of all packets.
    unread: AtomicUsize,
}

/// The packets, locked; the counts are brought up to date when it is dropped.
#[derive(Debug)]
pub struct Packets<'a> {
    inbox: &'a Inbox,
    packets: MutexGuard<'a, VecDeque<Packet>>,
    charge: usize,
    unread: usize,
}

impl Inbox {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            packets: Mutex::new(VecDeque::new()),
            count: AtomicUsize::new(0),
            charge: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
        }
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// What the packets count for, against the senders' SO_SNDBUF.
    pub fn charge(&self) -> usize {
        self.charge.load(Ordering::SeqCst)
    }

    /// Bytes to read, of all packets.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    /// The packets.
    pub fn lock(&self) -> Packets<'_> {
        let packets = self.packets.lock();
        Packets {
            inbox: self,
            packets,
            charge: self.charge.load(Ordering::Relaxed),
            unread: self.unread.load(Ordering::Relaxed),
        }
    }
}

impl Packets<'_> {
    /// Adds one at the end.
    pub fn push(&mut self, packet: Packet) {
        self.charge += packet.charge();
        self.unread += packet.left().len();
        self.packets.push_back(packet);
    }

    /// The packet at `index`.
    pub fn get(&self, index: usize) -> Option<&Packet> {
        self.packets.get(index)
    }

    /// The first, to take things out of.
    pub fn first_mut(&mut self) -> Option<&mut Packet> {
        self.packets.front_mut()
    }

    /// Marks bytes of the first as read.
    pub fn advance(&mut self, bytes: usize) {
        if let Some(packet) = self.packets.front_mut() {
            packet.start += bytes;
            self.unread -= bytes;
        }
    }

    /// Takes the first out.
    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.charge -= packet.charge();
        self.unread -= packet.left().len();
        Some(packet)
    }

    /// Takes all out.
    pub fn take_all(&mut self) -> VecDeque<Packet> {
        self.charge = 0;
        self.unread = 0;
        core::mem::take(&mut *self.packets)
    }
}

impl Drop for Packets<'_> {
    fn drop(&mut self) {
        let inbox = self.inbox;
        inbox.count.store(self.packets.len(), Ordering::SeqCst);
        inbox.charge.store(self.charge, Ordering::SeqCst);
        inbox.unread.store(self.unread, Ordering::SeqCst);
    }
}
