//! Who has which name: socket files by inode, abstract names by their bytes.

use super::address::Address;
use super::endpoint::Endpoint;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::inode::{FileType, Inode, NewInode};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::place::Path;
use crate::fs::vfs::{names, permission};
use crate::process::namespace::NamespaceId;
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use ostd::sync::SpinLock;

/// By the address of the inode, which the endpoint's [`Name`] keeps from being another's.
static FILES: SpinLock<BTreeMap<usize, Weak<Endpoint>>> = SpinLock::new(BTreeMap::new());
/// An abstract name belongs to a network namespace.
type AbstractKey = (NamespaceId, Vec<u8>);

static ABSTRACT: SpinLock<BTreeMap<AbstractKey, Weak<Endpoint>>> = SpinLock::new(BTreeMap::new());

/// How many names there are for sockets that ask for any: five digits of base 16 (unix(7)).
const AUTOMATIC_NAMES: u32 = 1 << 20;
/// The next name to give to a socket that asks for any.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name that a socket has or, of one that was accepted, its listener.
#[derive(Debug)]
pub struct Name {
    /// The `sockaddr`.
    bytes: Vec<u8>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(Path),
    Abstract,
}

impl Name {
    /// The `sockaddr`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn abstract_key(&self) -> &[u8] {
        self.bytes.get(3..).unwrap_or_default()
    }
}

/// Gives `endpoint` a name: makes a socket file, takes an abstract name, or finds one that is free.
///
/// # Errors
/// As bind(2); ENOSPC if all automatic names are taken.
pub fn bind(address: Address<'_>, endpoint: &Arc<Endpoint>, thread: &Thread) -> Result<Name> {
    match address {
        Address::Path(path) => {
            let permissions = 0o777 & !thread.place().umask();
            let made =
                names::make(&LookupStart::of(thread), path, NewInode::Node(FileType::Socket, 0), permissions);
            let place = made.map_err(|error| match error.errno() {
                Errno::EEXIST => Error::new(Errno::EADDRINUSE),
                _ => error,
            })?;
            FILES.lock().insert(key(place.inode()?), Arc::downgrade(endpoint));
            Ok(Name { bytes: address.to_bytes(), place: Place::File(place) })
        }
        Address::Abstract(name) => {
            if !claim(name, endpoint) {
                return Err(Errno::EADDRINUSE.into());
            }
            Ok(Name { bytes: address.to_bytes(), place: Place::Abstract })
        }
        Address::Unnamed => {
            let mut tries =
                core::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed) % AUTOMATIC_NAMES)
                    .map(|number| alloc::format!("{number:05x}"))
                    .take(AUTOMATIC_NAMES as usize);
            let name = tries.find(|name| claim(name.as_bytes(), endpoint)).ok_or(Errno::ENOSPC)?;
            let bytes = Address::Abstract(name.as_bytes()).to_bytes();
            Ok(Name { bytes, place: Place::Abstract })
        }
    }
}

/// Who has a name, if `thread` may write there.
///
/// # Errors
/// As connect(2); ECONNREFUSED if nobody has it.
pub fn find(address: Address<'_>, thread: &Thread) -> Result<Arc<Endpoint>> {
    let found = match address {
        Address::Path(path) => {
            let start = LookupStart::of(thread);
            let place = lookup::lookup(&start, path, LookupFlags::FOLLOW)?;
            let inode = place.inode()?;
            permission::check(&**inode, &start.credentials, permission::WRITE)?;
            FILES.lock().get(&key(inode)).and_then(Weak::upgrade)
        }
        Address::Abstract(name) => {
            let namespace = thread.namespaces()?.net.id();
            ABSTRACT.lock().get(&(namespace, Vec::from(name))).and_then(Weak::upgrade)
        }
        Address::Unnamed => return Err(Errno::EINVAL.into()),
    };
    found.ok_or(Error::new(Errno::ECONNREFUSED))
}

/// Takes an abstract name unless somebody has it.
fn claim(name: &[u8], endpoint: &Arc<Endpoint>) -> bool {
    let key = (endpoint.namespace, Vec::from(name));
    let mut names = ABSTRACT.lock();
    if names.contains_key(&key) {
        return false;
    }
    names.insert(key, Arc::downgrade(endpoint));
    true
}

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>().addr()
}

/// Gives up `name`, if it is `endpoint` that others find by it.
pub fn release(name: &Name, endpoint: &Endpoint) {
    let is_ours =
        |found: Option<&Weak<Endpoint>>| found.is_some_and(|found| core::ptr::eq(found.as_ptr(), endpoint));
    let gone = match &name.place {
        Place::File(place) => {
            let Ok(inode) = place.inode() else { return };
            let mut files = FILES.lock();
            if is_ours(files.get(&key(inode))) { files.remove(&key(inode)) } else { None }
        }
        Place::Abstract => {
            let key = (endpoint.namespace, Vec::from(name.abstract_key()));
            let mut names = ABSTRACT.lock();
            if is_ours(names.get(&key)) { names.remove(&key) } else { None }
        }
    };
    drop(gone);
}
