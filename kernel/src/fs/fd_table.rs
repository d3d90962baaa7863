//! Descriptor numbers to open files.

use super::open_file::OpenFile;
use crate::error::Result;
use crate::syscall::Fd;
use alloc::sync::Arc;

/// A descriptor table.
#[derive(Debug)]
pub struct FdTable {}

impl FdTable {
    /// Empty.
    pub fn new() -> Self {
        todo!()
    }

    /// The open file of `fd`, or EBADF.
    pub fn get(&self, fd: Fd) -> Result<Arc<OpenFile>> {
        let _ = fd;
        todo!()
    }

    /// Installs `file` at the lowest free number; EMFILE past `limit` (RLIMIT_NOFILE).
    pub fn install(&self, file: Arc<OpenFile>, close_on_exec: bool, limit: u64) -> Result<Fd> {
        let _ = (file, close_on_exec, limit);
        todo!()
    }

    /// Closes `fd`, or EBADF.
    pub fn close(&self, fd: Fd) -> Result<()> {
        let _ = fd;
        todo!()
    }

    /// A copy for fork: same open files, same numbers.
    pub fn duplicate(&self) -> Self {
        todo!()
    }

    /// Closes what is marked close-on-exec.
    pub fn close_on_exec(&self) {
        todo!()
    }
}
