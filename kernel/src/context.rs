//! Evidence that we run for a user thread, with handles to what every call needs.

use crate::error::Result;
use crate::fs::open_file::OpenFile;
use crate::process::Process;
use crate::process::rlimit::Resource;
use crate::syscall::{Fd, UserPtr};
use crate::thread::Thread;
use alloc::sync::Arc;
use ostd::user::UserContext;

/// The current thread, its process and its registers, for the length of one call.
#[derive(Debug)]
pub struct Context<'a> {
    /// The current thread.
    pub thread: &'a Arc<Thread>,
    /// Its process.
    pub process: &'a Arc<Process>,
    /// Its user registers.
    pub user: &'a mut UserContext,
}

impl Context<'_> {
    /// Gives `file` the lowest free descriptor of the process.
    ///
    /// # Errors
    /// EMFILE past the process's limit.
    pub fn install(&self, file: Arc<OpenFile>, close_on_exec: bool) -> Result<Fd> {
        let (limit, _) = self.process.rlimit(Resource::OpenFiles);
        self.process.fds().install(file, close_on_exec, limit)
    }

    /// Gives both files descriptors and writes these to `fds`; on failure there are none.
    ///
    /// # Errors
    /// As [`Self::install`], and EFAULT.
    pub fn install_pair(
        &self,
        first: Arc<OpenFile>,
        second: Arc<OpenFile>,
        close_on_exec: bool,
        fds: UserPtr<[i32; 2]>,
    ) -> Result<()> {
        let first = self.install(first, close_on_exec)?;
        let result = self.install(second, close_on_exec).and_then(|second| {
            fds.write(&[first.0, second.0]).inspect_err(|_| {
                // The error that counts is the one of the write.
                let _ = self.process.fds().close(second);
            })
        });
        if result.is_err() {
            let _ = self.process.fds().close(first);
        }
        result
    }
}
