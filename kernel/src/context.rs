//! Evidence that we run for a user thread, with handles to what every call needs.

use crate::process::Process;
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
