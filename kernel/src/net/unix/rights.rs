//! Open files on their way in a packet (SCM_RIGHTS), and their end when nobody takes them.
//!
//! Such a file may be a socket in whose inbox lie others, and so on, as deep as the senders like. Dropped by recursion they would overrun the
//! kernel's stack, so they end one after the other, from a list.

use crate::fs::open_file::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use ostd::sync::SpinLock;

/// The files of one packet.
#[derive(Debug, Default)]
pub struct Rights(Vec<Arc<OpenFile>>);

/// Files that wait for their end while somebody ends others.
struct Waiting {
    is_busy: bool,
    files: Vec<Vec<Arc<OpenFile>>>,
}

static WAITING: SpinLock<Waiting> = SpinLock::new(Waiting { is_busy: false, files: Vec::new() });

impl Rights {
    /// Hands the files over.
    pub fn take(&mut self) -> Vec<Arc<OpenFile>> {
        core::mem::take(&mut self.0)
    }
}

impl From<Vec<Arc<OpenFile>>> for Rights {
    fn from(files: Vec<Arc<OpenFile>>) -> Self {
        Self(files)
    }
}

impl Deref for Rights {
    type Target = [Arc<OpenFile>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        let mut files = self.take();
        if files.is_empty() {
            return;
        }
        {
            let mut waiting = WAITING.lock();
            if waiting.is_busy {
                waiting.files.push(files);
                return;
            }
            waiting.is_busy = true;
        }
        loop {
            // What this brings to an end in its turn joins the list.
            drop(files);
            let mut waiting = WAITING.lock();
            let Some(next) = waiting.files.pop() else {
                waiting.is_busy = false;
                return;
            };
            files = next;
        }
    }
}
