//! Open files on their way in a packet (SCM_RIGHTS), and their end when nobody takes them.
//!
//! Such a file may be a socket in whose inbox lie others, and so on, as deep as the senders like. Dropped by recursion they would overrun the
//! kernel's stack, so they end one after the other, from a list. [`super::in_flight`] keeps count of all of them.

use super::endpoint::Endpoint;
use super::in_flight;
use crate::error::Result;
use crate::fs::open_file::OpenFile;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::SpinLock;
use ostd::task::Task;

/// The files of one packet.
#[derive(Debug, Default)]
pub struct Rights {
    files: Vec<Arc<OpenFile>>,
    /// What they are booked under; none without files.
    ticket: Option<u64>,
}

/// Files that wait for their end while a task ends others; by task, so that nobody waits for somebody else's to end (a TCP connection may
/// linger).
static WAITING: SpinLock<BTreeMap<usize, Vec<Vec<Arc<OpenFile>>>>> = SpinLock::new(BTreeMap::new());

impl Rights {
    /// Sends `files` off, to the inbox of `to`, at the current user's expense.
    ///
    /// # Errors
    /// ETOOMANYREFS, ENOMEM.
    pub fn send(files: Vec<Arc<OpenFile>>, to: &Arc<Endpoint>) -> Result<Self> {
        let ticket = if files.is_empty() { None } else { Some(in_flight::book(&files, to)?) };
        Ok(Self { files, ticket })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Hands the files over.
    pub fn take(&mut self) -> Vec<Arc<OpenFile>> {
        if let Some(ticket) = self.ticket.take() {
            in_flight::arrived(ticket);
        }
        core::mem::take(&mut self.files)
    }

    /// More handles to the files (MSG_PEEK).
    pub fn copy(&self) -> Vec<Arc<OpenFile>> {
        if self.is_empty() { Vec::new() } else { in_flight::copied(&self.files) }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        let mut files = self.take();
        if files.is_empty() {
            return;
        }
        let task = Task::current().map_or(0, |task| core::ptr::from_ref::<Task>(&task).addr());
        {
            let mut waiting = WAITING.lock();
            if let Some(waiting) = waiting.get_mut(&task) {
                waiting.push(files);
                return;
            }
            waiting.insert(task, Vec::new());
        }
        loop {
            // What this brings to an end in its turn joins the list.
            drop(files);
            let mut waiting = WAITING.lock();
            let Some(next) = waiting.get_mut(&task).and_then(Vec::pop) else {
                waiting.remove(&task);
                return;
            };
            files = next;
        }
    }
}
