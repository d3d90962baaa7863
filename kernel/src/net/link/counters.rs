//! What went through a link (/proc/net/dev, IFLA_STATS64).

use core::sync::atomic::{AtomicU64, Ordering};

/// Counts since the link was made.
#[derive(Debug, Default)]
pub struct Counters {
    received: Direction,
    sent: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    packets: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
}

/// One direction's counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that there was no room or no use for.
    pub dropped: u64,
}

impl Counters {
    /// Counts a packet that came in.
    pub fn receive(&self, bytes: usize) {
        self.received.count(bytes);
    }

    /// Counts a packet that went out.
    pub fn send(&self, bytes: usize) {
        self.sent.count(bytes);
    }

    /// Counts one that came in broken.
    pub fn receive_error(&self) {
        self.received.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that came in and was of no use.
    pub fn drop_received(&self) {
        self.received.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that could not go out.
    pub fn drop_sent(&self) {
        self.sent.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// What came in.
    pub fn received(&self) -> Counts {
        self.received.counts()
    }

    /// What went out.
    pub fn sent(&self) -> Counts {
        self.sent.counts()
    }
}

impl Direction {
    fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        Counts {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}
