//! All sockets of the family, for the tables that list them.

use super::endpoint::Endpoint;
use crate::net::Kind;
use crate::process::namespace::NamespaceId;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ostd::sync::SpinLock;

/// By address, which is theirs as long as they are here.
static ALL: SpinLock<BTreeMap<usize, Weak<Endpoint>>> = SpinLock::new(BTreeMap::new());

/// What tables tell of a socket.
#[derive(Debug)]
pub struct Report {
    /// Its type.
    pub kind: Kind,
    /// The inode of its open file.
    pub ino: u64,
    /// Whether it listens.
    pub is_listening: bool,
    /// Whether it has a peer.
    pub is_connected: bool,
    /// The inode of its peer's open file, or 0.
    pub peer_ino: u64,
    /// `sun_path`, a path without its NUL.
    pub name: Vec<u8>,
    /// Bytes to read.
    pub unread: usize,
}

/// All sockets of a network namespace.
pub fn report(namespace: NamespaceId) -> Vec<Report> {
    let endpoints: Vec<_> = ALL.lock().values().filter_map(Weak::upgrade).collect();
    let of_namespace =
        endpoints.iter().filter(|endpoint| endpoint.namespace == namespace && !endpoint.is_closed());
    of_namespace.map(describe).collect()
}

fn describe(endpoint: &Arc<Endpoint>) -> Report {
    let peer_key = endpoint.peer_key.load(Ordering::SeqCst);
    let peer = ALL.lock().get(&peer_key).and_then(Weak::upgrade);
    let name = endpoint.name().map(|name| Vec::from(name.bytes().get(2..).unwrap_or_default()));
    let mut name = name.unwrap_or_default();
    if name.first().is_some_and(|first| *first != 0) && name.last() == Some(&0) {
        name.pop();
    }
    Report {
        kind: endpoint.kind,
        ino: endpoint.options.identity().ino,
        is_listening: endpoint.backlog.get().is_some(),
        is_connected: peer_key != 0,
        peer_ino: peer.map_or(0, |peer| peer.options.identity().ino),
        name,
        unread: endpoint.inbox.unread(),
    }
}

/// A socket comes.
pub(super) fn add(endpoint: &Arc<Endpoint>) {
    let old = ALL.lock().insert(Arc::as_ptr(endpoint).addr(), Arc::downgrade(endpoint));
    drop(old);
}

/// A socket goes.
pub(super) fn remove(endpoint: &Endpoint) {
    let gone = ALL.lock().remove(&core::ptr::from_ref(endpoint).addr());
    drop(gone);
}
