//! Path MTUs (RFC 1191): what routers have said about destinations, for a while.

use alloc::collections::BTreeMap;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;
use ostd::timer::now_ns;

/// Destinations remembered, and for how long (Linux's mtu_expires).
const MAX_ENTRIES: usize = 1024;
const LIFETIME_NS: u64 = 600 * 1_000_000_000;
/// Less is not believed: it would make packets small for somebody's pleasure (Linux's min_pmtu).
const LEAST: u16 = 552;
/// For routers that do not say: the next lower of the plateaus of RFC 1191, 7.1.
const PLATEAUS: [u16; 9] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 576, 552];

/// What is known.
#[derive(Debug, Default)]
pub struct PathMtus {
    /// Kept beside the table, so that an empty one costs a load.
    len: AtomicUsize,
    table: SpinLock<BTreeMap<Ipv4Addr, (u16, u64)>>,
}

impl PathMtus {
    /// `mtu` is a router's word, 0 if it has none; `len` is that of the packet that was too long.
    pub fn note(&self, destination: Ipv4Addr, mtu: u16, len: u16) {
        let mtu = match mtu {
            0 => PLATEAUS.into_iter().find(|plateau| *plateau < len).unwrap_or(LEAST),
            mtu => mtu,
        };
        // A router that says nothing new, or a liar.
        if mtu >= len {
            return;
        }
        let now_ns = now_ns();
        let mut table = self.table.lock();
        if table.len() >= MAX_ENTRIES {
            table.retain(|_, (_, due_ns)| *due_ns > now_ns);
        }
        if table.len() >= MAX_ENTRIES {
            table.pop_first();
        }
        table.insert(destination, (mtu.max(LEAST), now_ns + LIFETIME_NS));
        self.len.store(table.len(), Ordering::Relaxed);
    }

    /// That of the path to `destination`, or more than any.
    pub fn find(&self, destination: Ipv4Addr) -> u32 {
        if self.len.load(Ordering::Relaxed) == 0 {
            return u32::MAX;
        }
        match self.table.lock().get(&destination) {
            Some((mtu, due_ns)) if now_ns() < *due_ns => u32::from(*mtu),
            _ => u32::MAX,
        }
    }
}
