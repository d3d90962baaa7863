//! What has arrived for a socket and was not read yet.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::ucred;
use core::sync::atomic::{AtomicUsize, Ordering};
use ostd::sync::SpinLock;

/// Some messages that are read together.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The messages; shared by all who are told the same.
    pub bytes: Arc<Vec<u8>>,
    /// The port that they come from; 0: the kernel.
    pub port: u32,
    /// The group that they were sent to; 0: none.
    pub group: u32,
    /// Who sent them.
    pub credentials: ucred,
}

/// Datagrams in order. The counts beside them are for poll.
#[derive(Debug, Default)]
pub struct Queue {
    datagrams: SpinLock<VecDeque<Datagram>>,
    count: AtomicUsize,
    charge: AtomicUsize,
}

/// What a datagram counts for beside its bytes, against SO_RCVBUF.
const OVERHEAD: usize = 512;

impl Datagram {
    /// From the kernel.
    pub fn from_kernel(bytes: Vec<u8>, group: u32) -> Self {
        Self { bytes: Arc::new(bytes), port: 0, group, credentials: ucred::default() }
    }

    fn charge(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

impl Queue {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// What is there counts for so much.
    pub fn charge(&self) -> usize {
        self.charge.load(Ordering::SeqCst)
    }

    /// Adds one at the end, if there is room by `limit`.
    pub fn push(&self, datagram: Datagram, limit: usize) -> bool {
        let mut datagrams = self.datagrams.lock();
        if self.charge() > limit || datagrams.try_reserve(1).is_err() {
            return false;
        }
        self.charge.fetch_add(datagram.charge(), Ordering::SeqCst);
        datagrams.push_back(datagram);
        self.count.store(datagrams.len(), Ordering::SeqCst);
        true
    }

    /// The first, which stays.
    pub fn first(&self) -> Option<Datagram> {
        self.datagrams.lock().front().cloned()
    }

    /// Takes the first out.
    pub fn pop(&self) -> Option<Datagram> {
        let mut datagrams = self.datagrams.lock();
        let datagram = datagrams.pop_front()?;
        self.charge.fetch_sub(datagram.charge(), Ordering::SeqCst);
        self.count.store(datagrams.len(), Ordering::SeqCst);
        Some(datagram)
    }
}
