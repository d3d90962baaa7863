//! Processes: thread groups that share an address space, descriptors, a place in the file tree, credentials and namespaces.

pub mod credentials;

use crate::fs::fd_table::FdTable;
use crate::fs::vfs::place::FsPlace;
use crate::mm::AddressSpace;
use alloc::sync::Arc;
use credentials::Credentials;
use ostd::sync::Mutex;

/// A process.
#[derive(Debug)]
pub struct Process {
    fds: Mutex<Arc<FdTable>>,
    place: Mutex<Arc<FsPlace>>,
}

impl Process {
    /// Process id in the initial pid namespace.
    pub fn pid(&self) -> u32 {
        todo!()
    }

    /// Its address space; `None` once it has exited.
    pub fn address_space(&self) -> Option<Arc<AddressSpace>> {
        todo!()
    }

    /// Its descriptors (shared with others after CLONE_FILES).
    pub fn fds(&self) -> Arc<FdTable> {
        self.fds.lock().clone()
    }

    /// Root, working directory and umask (shared after CLONE_FS).
    pub fn place(&self) -> Arc<FsPlace> {
        self.place.lock().clone()
    }

    /// A snapshot of its credentials. (Linux keeps them per thread; glibc and musl keep threads alike, and so do we. COMPAT)
    pub fn credentials(&self) -> Arc<Credentials> {
        todo!()
    }
}
