//! File descriptors that name a process (pidfd_open(2)): readable once it has ended.

use super::Process;
use super::pid::Pid;
use crate::error::Result;
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::pseudo;
use crate::process::rlimit::Resource;
use crate::syscall::Fd;
use alloc::sync::Arc;

/// O_RDWR, as Linux shows it in fdinfo.
const O_RDWR: u32 = 2;
/// PIDFD_NONBLOCK is O_NONBLOCK.
pub const PIDFD_NONBLOCK: u32 = 0o4000;

/// An open pidfd.
#[derive(Debug)]
pub struct PidFile {
    id: Arc<Pid>,
}

impl PidFile {
    /// Whom it names.
    pub fn id(&self) -> &Arc<Pid> {
        &self.id
    }
}

impl FileOps for PidFile {
    fn poll(&self, _file: &OpenFile) -> IoEvents {
        match self.id.process() {
            Some(process) if process.exit_status().is_none() => IoEvents::empty(),
            Some(_) => IoEvents::IN | IoEvents::RDNORM,
            None => IoEvents::IN | IoEvents::RDNORM | IoEvents::HUP,
        }
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(self.id.pollee())
    }
}

/// Opens a descriptor for `id` in `process`; it is closed on exec.
///
/// # Errors
/// EMFILE.
pub fn install(process: &Process, id: &Arc<Pid>, is_nonblocking: bool) -> Result<Fd> {
    let flags = O_RDWR | if is_nonblocking { PIDFD_NONBLOCK } else { 0 };
    let ops = Arc::new(PidFile { id: id.clone() });
    let file = OpenFile::new(pseudo::anonymous_path("anon_inode:[pidfd]"), ops, flags);
    process.fds().install(file, true, process.rlimit(Resource::OpenFiles).0)
}
