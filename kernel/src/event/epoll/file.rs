//! The open file of a set.

use super::Epoll;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use alloc::sync::Arc;

#[derive(Debug)]
struct EpollFile(Arc<Epoll>);

/// A new, empty set.
///
/// # Errors
/// ENOMEM when memory is short.
pub fn create() -> Result<Arc<OpenFile>> {
    if ostd::mm::is_exhausted() {
        return Err(Errno::ENOMEM.into());
    }
    let ops = EpollFile(Arc::new(Epoll::new()));
    Ok(OpenFile::new(pseudo::anonymous_path("anon_inode:[eventpoll]"), Arc::new(ops), O_RDWR))
}

/// The set behind `file`, if it is one.
pub fn of(file: &OpenFile) -> Option<&Arc<Epoll>> {
    file.downcast::<EpollFile>().map(|file| &file.0)
}

impl FileOps for EpollFile {
    fn poll(&self, _file: &OpenFile) -> IoEvents {
        if self.0.is_ready() { IoEvents::IN | IoEvents::RDNORM } else { IoEvents::empty() }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.0.ready.pollee)
    }
}
