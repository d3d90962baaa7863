//! The objects of one kind in a namespace, by key and by id.

use super::Permissions;
use crate::error::{Errno, Error, Result};
use crate::process::credentials::Credentials;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use coffer_abi_types::ipc::IPC_PRIVATE;
use coffer_abi_types::ipc::flags::{IPC_CREAT, IPC_EXCL};
use ostd::sync::Mutex;

/// An id is a sequence number above an index: one that was removed is not taken for its successor.
pub(super) const INDEX_BITS: u32 = 15;
const INDEX_MAX: usize = (1 << INDEX_BITS) - 1;
/// Sequence numbers keep ids positive.
const SEQUENCE_MAX: i32 = i32::MAX >> INDEX_BITS;

/// An object, as its table knows it.
pub trait Object {
    /// Owner and mode.
    fn permissions(&self) -> Permissions;
}

/// A table.
#[derive(Debug)]
pub struct Objects<T> {
    inner: Mutex<Inner<T>>,
    max: usize,
}

#[derive(Debug)]
struct Inner<T> {
    by_index: BTreeMap<usize, (i32, Arc<T>)>,
    by_key: BTreeMap<i32, usize>,
    sequence: i32,
}

impl<T: Object> Objects<T> {
    /// Without objects, for at most `max`.
    pub const fn new(max: usize) -> Self {
        let inner = Inner { by_index: BTreeMap::new(), by_key: BTreeMap::new(), sequence: 0 };
        Self { inner: Mutex::new(inner), max: if max < INDEX_MAX { max } else { INDEX_MAX } }
    }

    /// Finds the object that has `key`, which `fits` looks at, or makes one with the id that it is given (shmget, semget, msgget).
    ///
    /// # Errors
    /// ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM; those of `fits` and `make`.
    pub fn get(
        &self,
        key: i32,
        flags: u32,
        credentials: &Credentials,
        fits: impl FnOnce(&T) -> Result<()>,
        make: impl FnOnce(i32) -> Result<Arc<T>>,
    ) -> Result<i32> {
        let mut inner = self.inner.lock();
        let known = if key == IPC_PRIVATE { None } else { inner.by_key.get(&key).copied() };
        if let Some((id, object)) = known.and_then(|index| inner.by_index.get(&index)) {
            if flags & IPC_CREAT != 0 && flags & IPC_EXCL != 0 {
                return Err(Errno::EEXIST.into());
            }
            fits(object)?;
            object.permissions().check(credentials, flags)?;
            return Ok(*id);
        }
        if key != IPC_PRIVATE && flags & IPC_CREAT == 0 {
            return Err(Errno::ENOENT.into());
        }
        if ostd::mm::is_exhausted() {
            return Err(Errno::ENOMEM.into());
        }
        if inner.by_index.len() >= self.max {
            return Err(Error::with(Errno::ENOSPC, "too many objects"));
        }
        let index = inner.free_index();
        inner.sequence = if inner.sequence == SEQUENCE_MAX { 0 } else { inner.sequence + 1 };
        let id = inner.sequence << INDEX_BITS | index as i32;
        let object = make(id)?;
        inner.by_index.insert(index, (id, object));
        if key != IPC_PRIVATE {
            inner.by_key.insert(key, index);
        }
        Ok(id)
    }

    /// The object called `id`.
    ///
    /// # Errors
    /// EINVAL.
    pub fn by_id(&self, id: i32) -> Result<Arc<T>> {
        let inner = self.inner.lock();
        match inner.by_index.get(&index_of(id)?) {
            Some((known, object)) if *known == id => Ok(object.clone()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// The object at an index, with its id (SHM_STAT and its like).
    ///
    /// # Errors
    /// EINVAL.
    pub fn at(&self, index: i32) -> Result<(i32, Arc<T>)> {
        let index = usize::try_from(index).map_err(|_| Errno::EINVAL)?;
        self.inner.lock().by_index.get(&index).cloned().ok_or(Errno::EINVAL.into())
    }

    /// Takes the key from an object that stays: nobody finds it by that any more.
    pub fn forget_key(&self, key: i32, id: i32) {
        let mut inner = self.inner.lock();
        if index_of(id).is_ok_and(|index| inner.by_key.get(&key) == Some(&index)) {
            inner.by_key.remove(&key);
        }
    }

    /// Takes the object out.
    ///
    /// # Errors
    /// EINVAL if somebody else has.
    pub fn remove(&self, key: i32, id: i32) -> Result<Arc<T>> {
        self.forget_key(key, id);
        let mut inner = self.inner.lock();
        let index = index_of(id)?;
        if inner.by_index.get(&index).is_none_or(|(known, _)| *known != id) {
            return Err(Errno::EINVAL.into());
        }
        let (_, object) = inner.by_index.remove(&index).ok_or(Errno::EINVAL)?;
        Ok(object)
    }

    /// The highest index that is used, 0 if none is: what IPC_INFO and its like return.
    pub fn highest(&self) -> i32 {
        self.inner.lock().by_index.last_key_value().map_or(0, |(index, _)| *index as i32)
    }

    /// All objects with their ids.
    pub fn all(&self) -> alloc::vec::Vec<(i32, Arc<T>)> {
        self.inner.lock().by_index.values().cloned().collect()
    }
}

impl<T> Inner<T> {
    /// The lowest; there is one below the limit.
    fn free_index(&self) -> usize {
        let used = self.by_index.keys().copied();
        used.enumerate().find(|(at, index)| at != index).map_or(self.by_index.len(), |(at, _)| at)
    }
}

fn index_of(id: i32) -> Result<usize> {
    let id = u32::try_from(id).map_err(|_| Errno::EINVAL)?;
    Ok(id as usize & INDEX_MAX)
}
