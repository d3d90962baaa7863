//! All open files in flight: how many each user has sent, and which of them nobody can receive any more.
//!
//! A socket in flight can lie in an inbox that only another socket in flight leads to, and so in a circle. Handles alone would keep such
//! sockets for ever. Whenever a socket ends, those are looked for to which no way leads from outside, and their inboxes are emptied.
//!
//! That is sound because handles to a file in flight come from outside, or from an inbox by [`arrived`] and [`copied`], which take the lock: a
//! file all of whose handles were in flight when it was looked at under the lock stays so until the lock is released.

use super::UnixSocket;
use super::endpoint::Endpoint;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::net::socket;
use crate::process::credentials::Capability;
use crate::process::rlimit::Resource;
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use ostd::sync::Mutex;
use ostd::timer::now_ns;

/// The files of one packet.
#[derive(Debug)]
struct Parcel {
    /// In whose inbox it lies, or is about to.
    to: Weak<Endpoint>,
    /// Who has sent it.
    uid: u32,
    files: Vec<Weak<OpenFile>>,
}

#[derive(Debug)]
struct Parcels {
    by_ticket: BTreeMap<u64, Parcel>,
    /// Files by the user who has sent them.
    users: BTreeMap<u32, u64>,
    next_ticket: u64,
}

/// Taken after an inbox, never before one.
static PARCELS: Mutex<Parcels> =
    Mutex::new(Parcels { by_ticket: BTreeMap::new(), users: BTreeMap::new(), next_ticket: 0 });
/// Sockets of this family among the files, so that looking for circles costs a load when there can be none.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// Books files that are being sent; returns the ticket for [`arrived`].
///
/// # Errors
/// ETOOMANYREFS: the user has more in flight than RLIMIT_NOFILE says (unix(7)). ENOMEM.
pub fn book(files: &[Arc<OpenFile>], to: &Arc<Endpoint>) -> Result<u64> {
    let thread = Thread::current().ok_or(Error::new(Errno::EINVAL))?;
    let process = thread.process();
    let credentials = process.credentials();
    let uid = credentials.uid[0];
    let is_exempt = credentials.has(Capability::SysResource) || credentials.has(Capability::SysAdmin);
    let (limit, _) = process.rlimit(Resource::OpenFiles);
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let mut weak = Vec::new();
    weak.try_reserve_exact(files.len()).map_err(|_| Errno::ENOMEM)?;
    weak.extend(files.iter().map(Arc::downgrade));

    let mut parcels = PARCELS.lock();
    let sent = parcels.users.entry(uid).or_default();
    // As Linux counts: the message that crosses the limit still goes.
    if *sent > limit && !is_exempt {
        return Err(Errno::ETOOMANYREFS.into());
    }
    *sent += files.len() as u64;
    let ticket = parcels.next_ticket;
    parcels.next_ticket += 1;
    parcels.by_ticket.insert(ticket, Parcel { to: Arc::downgrade(to), uid, files: weak });
    SOCKETS.fetch_add(count_sockets(files), Ordering::Relaxed);
    Ok(ticket)
}

/// Strikes out what was taken from its packet.
pub fn arrived(ticket: u64) {
    let mut parcels = PARCELS.lock();
    let Some(parcel) = parcels.by_ticket.remove(&ticket) else { return };
    let count = parcel.files.len() as u64;
    if let Some(sent) = parcels.users.get_mut(&parcel.uid) {
        *sent = sent.saturating_sub(count);
        if *sent == 0 {
            parcels.users.remove(&parcel.uid);
        }
    }
    // The packet still has its handles, so all are there; they cannot be the last that are dropped here.
    let files: Vec<_> = parcel.files.iter().filter_map(Weak::upgrade).collect();
    SOCKETS.fetch_sub(count_sockets(&files), Ordering::Relaxed);
}

/// More handles to files that stay in their packet.
pub fn copied(files: &[Arc<OpenFile>]) -> Vec<Arc<OpenFile>> {
    let _parcels = PARCELS.lock();
    files.to_vec()
}

/// Memory that files in flight to `endpoint` keep.
pub fn kept_bytes(endpoint: &Endpoint) -> usize {
    let mut files = Vec::new();
    let parcels = PARCELS.lock();
    for parcel in parcels.by_ticket.values().filter(|parcel| core::ptr::eq(parcel.to.as_ptr(), endpoint)) {
        if files.try_reserve(parcel.files.len()).is_err() {
            break;
        }
        files.extend(parcel.files.iter().filter_map(Weak::upgrade));
    }
    drop(parcels);
    // Of sockets only what they hold themselves: theirs could go in a circle.
    files.iter().filter(|file| endpoint_of(file).is_none()).map(|file| file.kept_bytes()).sum()
}

/// Looks for sockets that nobody can reach any more, and empties their inboxes.
pub fn collect() {
    /// Emptying inboxes ends sockets, and each end comes back here.
    static IS_BUSY: AtomicBool = AtomicBool::new(false);
    static NEXT_NS: AtomicU64 = AtomicU64::new(0);
    /// How much longer than a search the pause after it is: users with many files in flight cannot take more than that part of a CPU.
    const PAUSE: u64 = 8;
    let start_ns = now_ns();
    if SOCKETS.load(Ordering::Relaxed) == 0
        || start_ns < NEXT_NS.load(Ordering::Relaxed)
        || IS_BUSY.swap(true, Ordering::Acquire)
    {
        return;
    }
    let inboxes = PARCELS.lock().unreachable().unwrap_or_default();
    let end_ns = now_ns();
    NEXT_NS.store(end_ns + (end_ns - start_ns) * PAUSE, Ordering::Relaxed);
    IS_BUSY.store(false, Ordering::Release);
    for endpoint in inboxes {
        let packets = endpoint.inbox.lock().take_all();
        drop(packets);
    }
}

/// A socket in flight.
struct Node {
    /// Its [`Endpoint`], by address.
    key: usize,
    is_reachable: bool,
}

impl Parcels {
    /// The inboxes in flight to which no way leads from outside; `None` if there is no memory to find out.
    fn unreachable(&self) -> Option<Vec<Arc<Endpoint>>> {
        // By who leads there: (holder of the inbox, socket in the inbox).
        let mut edges: Vec<(usize, usize)> = Vec::new();
        let mut files: Vec<(usize, &Weak<OpenFile>)> = Vec::new();
        for parcel in self.by_ticket.values() {
            let holder = parcel.to.upgrade().map_or(0, |to| to.holder());
            for file in &parcel.files {
                let Some(key) = file.upgrade().and_then(|file| endpoint_of(&file).map(Endpoint::key)) else {
                    continue;
                };
                edges.try_reserve(1).ok()?;
                edges.push((holder, key));
                files.try_reserve(1).ok()?;
                files.push((key, file));
            }
        }
        edges.sort_unstable();
        files.sort_unstable_by_key(|(key, _)| *key);

        let mut nodes: Vec<Node> = Vec::new();
        nodes.try_reserve_exact(files.len()).ok()?;
        let mut todo: Vec<usize> = Vec::new();
        todo.try_reserve_exact(edges.len() + files.len()).ok()?;
        for same in files.chunk_by(|(a, _), (b, _)| a == b) {
            let (key, file) = same[0];
            nodes.push(Node { key, is_reachable: false });
            // A handle that lies in no packet?
            if Weak::strong_count(file) > same.len() {
                todo.push(key);
            }
        }
        let find = |nodes: &[Node], key: usize| nodes.binary_search_by_key(&key, |node| node.key).ok();
        // A holder that is not in flight itself is somebody's.
        todo.extend(
            edges.iter().filter(|(holder, _)| find(&nodes, *holder).is_none()).map(|(_, socket)| *socket),
        );
        while let Some(key) = todo.pop() {
            let Some(node) = find(&nodes, key).and_then(|at| nodes.get_mut(at)) else { continue };
            if core::mem::replace(&mut node.is_reachable, true) {
                continue;
            }
            let first = edges.partition_point(|(holder, _)| *holder < key);
            let inside = edges[first..].iter().take_while(|(holder, _)| *holder == key);
            for (_, socket) in inside {
                todo.try_reserve(1).ok()?;
                todo.push(*socket);
            }
        }

        let mut inboxes = Vec::new();
        for parcel in self.by_ticket.values() {
            let Some(to) = parcel.to.upgrade() else { continue };
            let is_lost = find(&nodes, to.holder()).is_some_and(|at| !nodes[at].is_reachable);
            if is_lost {
                inboxes.try_reserve(1).ok()?;
                inboxes.push(to);
            }
        }
        Some(inboxes)
    }
}

fn count_sockets(files: &[Arc<OpenFile>]) -> usize {
    files.iter().filter(|file| endpoint_of(file).is_some()).count()
}

/// The endpoint of a socket of this family.
fn endpoint_of(file: &OpenFile) -> Option<&Arc<Endpoint>> {
    let socket: &dyn Any = &**socket::of(file).ok()?;
    socket.downcast_ref::<UnixSocket>().map(|socket| &socket.endpoint)
}
